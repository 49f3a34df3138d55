// /request: the endpoint of the seed project. Requests and answers have exactly the seed's format,
// so the seed's client works with any server.
#pragma once

#include <optional>
#include <string>

#include "api/forward.hpp"
#include "base/time.hpp"

namespace vesper::api {

// The seed's client gives up after one second. The remaining 150 ms allow for the network.
inline constexpr Duration kSeedTimeout = milliseconds(850);

struct SeedRequest {
  std::string key;              // set once the body has been read
  std::string idempotency_key;  // empty: none was sent
};

std::optional<Problem> check_seed_request(const Context& context, const http::RequestHead& head,
                                          const Query& query, HttpExchange& exchange);
void run_seed_request(Context& context, HttpExchange& exchange, std::string body);
void render_seed_request(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
