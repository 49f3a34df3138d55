// /openapi.json: the description of this interface in OpenAPI 3.1. The document is openapi.json,
// which the build makes compact and embeds; tests/api/test_openapi.cpp compares it with the table
// of endpoints, and tests/server/test_openapi.py with the replies of a server.
#pragma once

#include <string_view>

#include "api/forward.hpp"

namespace vesper::api {

// One line.
extern const std::string_view kOpenApiDocument;

void render_openapi(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
