// One request from its head to its answer: who asked, what was asked, and the outcome. dispatch.hpp
// fills it in; server/connection.hpp holds a queue of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "api/access.hpp"
#include "api/audit.hpp"
#include "api/auth.hpp"
#include "api/bulk_import.hpp"
#include "api/chaos.hpp"
#include "api/compact.hpp"
#include "api/endpoint.hpp"
#include "api/kv.hpp"
#include "api/leases.hpp"
#include "api/locks.hpp"
#include "api/members.hpp"
#include "api/page.hpp"
#include "api/probes.hpp"
#include "api/problem.hpp"
#include "api/range.hpp"
#include "api/recent_figures.hpp"
#include "api/request_stream.hpp"
#include "api/seed_request.hpp"
#include "api/transfer.hpp"
#include "api/txn.hpp"
#include "api/watch.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct Waiting {};  // for the rest of the body, or for the node
struct Local {};    // answered from this process's state when it is rendered
struct SuppliedBody {
  std::string body;  // JSON that another process has made
};
using Outcome = std::variant<Waiting, Local, Problem, node::ClientReply, SuppliedBody>;

// What an endpoint's check parsed, for its own run and render.
using ResourceRequest =
    std::variant<std::monostate, KvRequest, RangeRequest, RangeDeleteRequest, SeedRequest,
                 ReadyzRequest, RecentFiguresRequest, TransferRequest, CompactRequest, TxnRequest,
                 BulkImportRequest, LeaseRequest, LockRequest, WatchRequest, ChangeMembersRequest,
                 PageRequest, ChaosRequest, AuthRequest>;

struct HttpExchange {
  node::Ticket ticket;                 // the connection, and the number of the request on it
  const Endpoint* endpoint = nullptr;  // null: no endpoint has this path
  http::Method method = http::Method::get;
  bool close = false;        // close the connection after the answer
  bool is_http_1_0 = false;  // the answer must then state that the connection stays open
  Instant started;
  Duration timeout;
  bool is_local = false;                // the client is on this machine
  Audited audited;                      // empty unless there is an audit log
  KnownClient* known_client = nullptr;  // of the connection; null: it keeps none
  Credential credential = Credential::settled;
  // Of the client's token. Nothing: clients need none, or this request needs none.
  std::optional<kv::Identity> identity;
  ResourceRequest request;

  // The request waits for something that may be long in coming. When its client closes its sending
  // half, the request is cancelled.
  bool ends_with_hang_up = false;

  // Whether the body is kept for the handler, or read and discarded.
  bool keep_body = false;
  // The endpoint takes the body as it arrives. Then keep_body is true, and body_limit without
  // effect.
  bool streams_body = false;
  std::size_t body_limit = 0;
  std::string_view too_large;  // the problem code for a body above the limit; static text

  Outcome outcome;
  std::size_t posted_bytes = 0;           // size of its body while the node holds it
  std::unique_ptr<RequestStream> stream;  // if streams_body, from open_stream() on

  // True while the node has something of this request.
  bool is_posted() const { return stream != nullptr ? stream->is_posted() : !answered(); }
  bool answered() const { return !std::holds_alternative<Waiting>(outcome); }
  // True for an OPTIONS request that is answered with the list of methods.
  bool asks_for_methods() const {
    return method == http::Method::options && endpoint->options == OptionsReply::names_methods;
  }
  bool is_write() const {
    return method == http::Method::put || method == http::Method::delete_ ||
           method == http::Method::post;
  }
  const node::ClientReply& reply() const { return std::get<node::ClientReply>(outcome); }
};

}  // namespace vesper::api
