#include "api/root.hpp"

#include "api/answer.hpp"
#include "json/writer.hpp"

namespace vesper::api {

void render_root(Context&, const HttpExchange&, Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.member("name", "vesper");
  json.member("version", VESPER_VERSION);
  json.member("put", "curl -X PUT -d VALUE http://HOST:PORT/kv/KEY");
  json.member("get", "curl http://HOST:PORT/kv/KEY");
  for (const std::string_view path : {"status", "livez", "readyz", "metrics"}) {
    json.key(path);
    json.string(std::string("/").append(path));
  }
  json.member("page", "/ui/");
  json.member("openapi", "/openapi.json");
  json.end_object();
  answer.body += '\n';
}

}  // namespace vesper::api
