// POST /compact: compacts the history by hand. The server also does it by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/forward.hpp"

namespace vesper::api {

struct CompactRequest {
  std::uint64_t revision = 0;   // becomes the oldest readable one
  std::string idempotency_key;  // empty: none was sent
};

std::optional<Problem> check_compact(const Context& context, const http::RequestHead& head,
                                     const Query& query, HttpExchange& exchange);
void run_compact(Context& context, HttpExchange& exchange, std::string body);
void render_compact(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
