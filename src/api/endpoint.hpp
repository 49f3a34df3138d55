// The table of endpoints: one row each, with everything that differs between them. The code that
// validates, runs and renders requests (dispatch.hpp) names no endpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/access.hpp"
#include "api/forward.hpp"
#include "base/time.hpp"

namespace vesper::api {

class RequestStream;

enum class Match : std::uint8_t {
  exact,   // the path must be equal, byte for byte
  prefix,  // the rest of the path belongs to the resource; see read_path
};

enum class Needs : std::uint8_t {
  nothing,  // answered from this process's state
  node,     // posted to the node, which replies later
};

// How the endpoint answers OPTIONS.
enum class OptionsReply : std::uint8_t {
  names_methods,  // 204 and the methods in Allow
  is_get,         // like GET: load balancers probe with OPTIONS
};

struct Endpoint {
  std::string_view path;
  Match match = Match::exact;
  std::string_view methods;  // in the form of the Allow field
  std::string_view label;    // for its metrics; rows with the same label are counted together
  // Whether its requests count in the rates and latencies that people look at. False for those of
  // monitors and of the page, and for requests that wait on purpose.
  bool is_load = false;
  // What the client's token must allow, while clients need one.
  Access access = Access::token;
  Needs needs = Needs::nothing;
  OptionsReply options = OptionsReply::names_methods;
  // How long a request may take. 0: it is up to ?timeout= and the settings.
  Duration timeout;
  // Parameters that may occur more than once.
  std::span<const std::string_view> repeatable;

  // Without it, requests get the same answer as for a path that does not exist. Null: always.
  bool (*is_offered)(const Context& context) = nullptr;
  // Reads the rest of the path after a prefix. Null for an exact path.
  std::optional<Problem> (*read_path)(std::string_view rest, HttpExchange& exchange) = nullptr;
  // Checks parameters, header fields and length, and fills in the exchange.
  std::optional<Problem> (*check)(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange) = nullptr;
  // Takes the complete body: posts to the node, or sets the outcome. Null unless `needs` is node.
  void (*run)(Context& context, HttpExchange& exchange, std::string body) = nullptr;
  // Makes what takes the body as it arrives, if `check` has set HttpExchange::streams_body. Null
  // unless it may.
  std::unique_ptr<RequestStream> (*open)(Context& context, HttpExchange& exchange) = nullptr;
  // Renders an outcome other than a Problem.
  void (*render)(Context& context, const HttpExchange& exchange, Answer& answer) = nullptr;
};

// All endpoints of a server.
std::span<const Endpoint> endpoints();

// Whether requests that are counted under this label are load: Endpoint::is_load.
bool is_load(std::string_view label);

// Finds rows by path, and maps each row to the slot that its metrics are counted in. Slot 0 counts
// requests that matched no endpoint.
class EndpointTable {
 public:
  // The rows must outlive the table. No path may be empty.
  explicit EndpointTable(std::span<const Endpoint> rows);

  // Returns null if no endpoint has this path.
  const Endpoint* find(std::string_view path) const;

  std::size_t slots() const { return labels_.size(); }
  std::size_t slot_of(const Endpoint* endpoint) const {
    return endpoint == nullptr ? 0 : slots_[static_cast<std::size_t>(endpoint - rows_.data())];
  }
  std::string_view label_of(std::size_t slot) const { return labels_[slot]; }

 private:
  std::span<const Endpoint> rows_;
  std::vector<std::size_t> slots_;        // one per row
  std::vector<std::string_view> labels_;  // one per slot
};

}  // namespace vesper::api
