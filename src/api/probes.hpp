// /livez and /readyz: is this process alive, and does it serve? Neither waits for another server.
#pragma once

#include <optional>
#include <string>

#include "api/forward.hpp"
#include "base/ids.hpp"

namespace vesper::api {

struct ReadyzRequest {
  bool verbose = false;  // ?verbose: each check with its reason
};

std::optional<Problem> check_readyz(const Context& context, const http::RequestHead& head,
                                    const Query& query, HttpExchange& exchange);
void render_livez(Context& context, const HttpExchange& exchange, Answer& answer);
void render_readyz(Context& context, const HttpExchange& exchange, Answer& answer);

// What a server without data says when a cluster exists: in its log and in /readyz.
std::string why_not_in_cluster(Id128 seen);

}  // namespace vesper::api
