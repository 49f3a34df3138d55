// /locks and /elections: locks, and elections, which are locks with a value. A waiter's request
// stays open until its turn comes. The token of a holder is a fencing token (?fence= on writes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/forward.hpp"
#include "api/list_request.hpp"
#include "base/time.hpp"
#include "kv/locks.hpp"

namespace vesper::api {

// How long a lock lasts without ?ttl=, and the longest ?wait=.
inline constexpr Duration kLockTtl = seconds(15);
struct LockGet {
  node::ReadOptions options;
};
struct LockList {
  ListRequest list;
};
struct LockAcquire {
  Duration ttl = kLockTtl;
  Duration wait{};  // 0: refused at once if another one holds it
};
struct LockRenew {
  std::uint64_t token = 0;
};
struct LockRelease {
  std::uint64_t token = 0;
};

struct LockRequest {
  kv::LockName lock;  // the name is empty if the path is that of the list
  std::variant<LockGet, LockList, LockAcquire, LockRenew, LockRelease> action;
  std::string idempotency_key;  // empty: none was sent
};

std::optional<Problem> read_lock_name(std::string_view encoded, HttpExchange& exchange);
std::optional<Problem> read_election_name(std::string_view encoded, HttpExchange& exchange);
// Of /locks/NAME and /elections/NAME.
std::optional<Problem> check_lock(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange);
std::optional<Problem> check_locks(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange);
std::optional<Problem> check_elections(const Context& context, const http::RequestHead& head,
                                       const Query& query, HttpExchange& exchange);
void run_lock(Context& context, HttpExchange& exchange, std::string body);
void render_lock(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
