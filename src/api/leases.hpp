// /leases: leases, which groups of keys live and end with. Keys are attached by PUT /kv/KEY?lease=.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/forward.hpp"
#include "api/list_request.hpp"
#include "base/time.hpp"
#include "kv/command.hpp"

namespace vesper::api {

struct LeaseGrant {
  Duration ttl;
};
struct LeaseRenew {};
struct LeaseEnd {
  std::optional<kv::Fence> fence;
};
struct LeaseGet {
  node::ReadOptions options;
};
struct LeaseList {
  ListRequest list;
};

struct LeaseRequest {
  std::uint64_t lease = 0;  // the id in the path; 0: the path is /leases
  std::variant<LeaseGet, LeaseList, LeaseGrant, LeaseRenew, LeaseEnd> action;
  std::string idempotency_key;  // empty: none was sent
};

std::optional<Problem> read_lease_id(std::string_view text, HttpExchange& exchange);
// Of /leases/ID, and of /leases.
std::optional<Problem> check_lease(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange);
std::optional<Problem> check_leases(const Context& context, const http::RequestHead& head,
                                    const Query& query, HttpExchange& exchange);
void run_lease(Context& context, HttpExchange& exchange, std::string body);
void render_lease(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
