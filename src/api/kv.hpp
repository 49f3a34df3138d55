// /kv/<key>: everything that is done to one key. Reads of any readable revision and of the history,
// put, delete, the atomic operations and restore, with conditions (If-Match, If-None-Match). The
// collection /kv is in collection.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/change_wait.hpp"
#include "api/forward.hpp"
#include "kv/command.hpp"
#include "kv/item.hpp"
#include "kv/operation.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct KvGet {
  node::ReadOptions options;
  std::uint64_t revision = 0;  // 0: the present one
  bool raw = false;            // ?raw: answer with the value alone
  WaitParameters wait;
};
struct KvHistory {
  node::ReadOptions options;
  std::size_t limit = 0;
};
struct KvPut {
  kv::Prev prev = kv::Prev::omit;
  // At most one of these is set.
  bool keep_ttl = false;  // the lease, or the time to live, that the key has
  std::uint64_t lease = 0;
  Duration ttl{};
};
struct KvDelete {
  kv::Prev prev = kv::Prev::omit;
};
// The suffix of an append is the body.
struct KvModify {
  kv::Modify::Kind kind = kv::Modify::Kind::increment;
  std::int64_t operand = 0;
};
struct KvRestore {
  std::uint64_t revision = 0;
};

struct KvRequest {
  std::string key;
  std::variant<KvGet, KvHistory, KvPut, KvDelete, KvModify, KvRestore> action;
  kv::Conditions conditions;
  std::optional<kv::Fence> fence;  // of a write
  std::string idempotency_key;     // empty: none was sent
};

std::optional<Problem> read_key(std::string_view encoded, HttpExchange& exchange);
std::optional<Problem> check_kv(const Context& context, const http::RequestHead& head,
                                const Query& query, HttpExchange& exchange);
void run_kv(Context& context, HttpExchange& exchange, std::string body);
void render_kv(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
