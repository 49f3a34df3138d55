// /livez (the process is alive) and /readyz (it can serve). Neither waits for another server.
#pragma once

#include <optional>
#include <string>

#include "api/forward.hpp"
#include "base/ids.hpp"

namespace vesper::api {

struct ReadyzRequest {
  bool verbose = false;  // ?verbose: list each check with its reason
};

std::optional<Problem> check_readyz(const Context& context, const http::RequestHead& head,
                                    const Query& query, HttpExchange& exchange);
void render_livez(Context& context, const HttpExchange& exchange, Answer& answer);
void render_readyz(Context& context, const HttpExchange& exchange, Answer& answer);

// The text for a server without data that has seen a cluster. Used in its log and in /readyz.
std::string why_not_in_cluster(Id128 seen);

}  // namespace vesper::api
