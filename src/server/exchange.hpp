// One request and what becomes of it, from its head to its answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.hpp"
#include "http/message.hpp"
#include "kv/item.hpp"
#include "node/ports.hpp"
#include "server/metrics.hpp"
#include "server/problem.hpp"

namespace vesper::server {

struct Waiting {};  // for its body, or for the node
struct Local {};    // answered from what this process knows, when its turn comes
using Outcome = std::variant<Waiting, Local, Problem, node::Reply>;

struct Exchange {
  std::uint64_t sequence = 0;  // within its connection; the ticket's `request`
  Route route = Route::none;
  http::Method method = http::Method::get;
  bool close = false;        // the connection ends behind the answer
  bool is_http_1_0 = false;  // its reply has to say that the connection does not end
  bool raw = false;          // /kv?raw
  bool verbose = false;      // /readyz?verbose
  std::string_view allow;    // the methods of its path; static text
  Instant started;
  Duration timeout;
  std::string key;
  kv::Conditions conditions;
  std::string token;                 // of a write that came with an Idempotency-Key; else empty
  std::optional<raft::ServerId> to;  // /cluster/transfer?to=
  node::ReadOptions read;

  // The body: kept for the handler, or read and dropped.
  bool keep_body = false;
  std::size_t body_limit = 0;
  std::string_view too_large;  // the code of a body above the limit; static text

  Outcome outcome;
  std::size_t posted_bytes = 0;  // of its body, while the node has it

  bool answered() const { return !std::holds_alternative<Waiting>(outcome); }
  bool is_write() const {
    return method == http::Method::put || method == http::Method::delete_ ||
           method == http::Method::post;
  }
};

// An answer before it is written: the head's variable parts and the body.
struct Answer {
  int status = 200;
  std::string_view content_type = "application/json";  // empty: no body, not even an empty one
  std::optional<std::uint64_t> etag;                   // a key's revision
  std::optional<std::uint64_t> revision;               // the store's
  std::string_view consistency;                        // of a read of /kv; static text
  std::optional<std::uint64_t> staleness_ms;           // at most that
  std::string_view allow;
  bool retry = false;
  bool replayed = false;  // the answer to an earlier request of the same token
  std::string body;
  SharedBytes shared;  // in place of `body`: a large value as it is

  void clear() {
    std::string buffer = std::move(body);
    buffer.clear();
    if (buffer.capacity() > kKeep) buffer = std::string();
    *this = Answer();
    body = std::move(buffer);
  }

 private:
  static constexpr std::size_t kKeep = 256u << 10;
};

}  // namespace vesper::server
