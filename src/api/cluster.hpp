// GET /cluster: the members, and what the leader knows of each of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/forward.hpp"
#include "node/ports.hpp"

namespace vesper::api {

std::optional<Problem> check_cluster(const Context& context, const http::RequestHead& head,
                                     const Query& query, HttpExchange& exchange);
void run_cluster(Context& context, HttpExchange& exchange, std::string body);
void render_cluster(Context& context, const HttpExchange& exchange, Answer& answer);

// Empty: this server does not know.
std::string_view member_state_name(node::MemberState state);

// Appends the body of the answer, one line of JSON.
void append_cluster(std::string& out, const node::ClusterView& view);

}  // namespace vesper::api
