// POST /cluster/members: changes the members of the cluster (raft/membership.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/forward.hpp"
#include "base/time.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct ChangeMembersRequest {
  raft::MembersRequest change;
  Duration wait;  // for promotions; 0: the first step is enough
};

std::optional<Problem> check_members(const Context& context, const http::RequestHead& head,
                                     const Query& query, HttpExchange& exchange);
void run_members(Context& context, HttpExchange& exchange, std::string body);
void render_members(Context& context, const HttpExchange& exchange, Answer& answer);

// Reads the body into `change`, whose `force` stays as it is. Addresses become canonical.
std::optional<Problem> read_members(std::string_view body, raft::MembersRequest& change);
// The problem of a change that was refused. `now`: the configuration that this server knows.
Problem problem_of(const raft::MembersRefusal& refusal, const raft::MembersRequest& change,
                   const raft::Configuration& now);
// C14: 409 for a feature that not every member's build has. `feature`: for people. `missing`: the
// members that lack it.
Problem members_too_old(std::string_view feature, std::vector<raft::NodeId> missing);

}  // namespace vesper::api
