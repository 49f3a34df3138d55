#include "api/openapi.hpp"

#include "api/answer.hpp"

namespace vesper::api {

void render_openapi(Context&, const HttpExchange&, Answer& answer) {
  answer.body += kOpenApiDocument;
}

}  // namespace vesper::api
