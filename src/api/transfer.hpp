// /cluster/transfer: moves leadership to another server (Raft thesis §3.10).
#pragma once

#include <optional>
#include <string>

#include "api/forward.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct TransferRequest {
  std::optional<raft::ServerId> to;  // nothing: any other member
};

// The member with this id, if it votes.
std::optional<raft::ServerId> find_voter(const Context& context, std::optional<std::uint64_t> id);

std::optional<Problem> check_transfer(const Context& context, const http::RequestHead& head,
                                      const Query& query, HttpExchange& exchange);
void run_transfer(Context& context, HttpExchange& exchange, std::string body);
void render_transfer(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
