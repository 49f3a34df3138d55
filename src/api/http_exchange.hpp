// One request and what becomes of it, from its head to its answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "api/endpoint.hpp"
#include "api/kv.hpp"
#include "api/probes.hpp"
#include "api/problem.hpp"
#include "api/seed_request.hpp"
#include "api/transfer.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct Waiting {};  // for its body, or for the node
struct Local {};    // answered from what this process knows, when its turn comes
using Outcome = std::variant<Waiting, Local, Problem, node::ClientReply>;

// What the check of a resource read for its own run and render.
using ResourceRequest =
    std::variant<std::monostate, KvRequest, SeedRequest, ReadyzRequest, TransferRequest>;

struct HttpExchange {
  node::Ticket ticket;                 // its connection, and its number there
  const Endpoint* endpoint = nullptr;  // null: nothing is at its path
  http::Method method = http::Method::get;
  bool close = false;        // the connection ends after the answer
  bool is_http_1_0 = false;  // its reply has to say that the connection does not end
  Instant started;
  Duration timeout;
  ResourceRequest request;

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
  const node::ClientReply& reply() const { return std::get<node::ClientReply>(outcome); }
};

}  // namespace vesper::api
