// The endpoints: one row each, and everything that differs between them. What validates, posts and
// renders a request (dispatch.hpp) knows no endpoint by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/forward.hpp"

namespace vesper::api {

enum class Match : std::uint8_t {
  exact,   // the path, byte for byte
  prefix,  // what follows belongs to the resource, which reads it
};

enum class Needs : std::uint8_t {
  nothing,  // answered from what this process knows
  node,     // posted to the node, which replies later
};

// How OPTIONS is answered.
enum class OptionsReply : std::uint8_t {
  names_methods,  // 204 and the methods
  is_get,         // as GET is: load balancers probe with OPTIONS
};

struct Endpoint {
  std::string_view path;
  Match match = Match::exact;
  std::string_view methods;  // as Allow names them
  std::string_view label;    // of its metrics; rows of one label are counted together
  Needs needs = Needs::nothing;
  OptionsReply options = OptionsReply::names_methods;

  // Reads what follows a prefix. Null for an exact path.
  std::optional<Problem> (*read_path)(std::string_view rest, HttpExchange& exchange) = nullptr;
  // Judges parameters, header fields and the length, and fills in the exchange.
  std::optional<Problem> (*check)(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange) = nullptr;
  // Takes the complete body: posts to the node, or sets the outcome. Null if nothing is needed.
  void (*run)(Context& context, HttpExchange& exchange, std::string body) = nullptr;
  // Turns an outcome other than a Problem into an answer.
  void (*render)(Context& context, const HttpExchange& exchange, Answer& answer) = nullptr;
};

// All endpoints of a server.
std::span<const Endpoint> endpoints();

// Rows by path, and the slots that their metrics are counted in. Slot 0 is for requests that found
// no endpoint.
class EndpointTable {
 public:
  // The rows outlive the table. No path is empty.
  explicit EndpointTable(std::span<const Endpoint> rows);

  // Null: nothing is at this path.
  const Endpoint* find(std::string_view path) const;

  std::size_t slots() const { return labels_.size(); }
  std::size_t slot_of(const Endpoint* endpoint) const {
    return endpoint == nullptr ? 0 : slots_[static_cast<std::size_t>(endpoint - rows_.data())];
  }
  std::string_view label_of(std::size_t slot) const { return labels_[slot]; }

 private:
  std::span<const Endpoint> rows_;
  std::vector<std::size_t> slots_;        // of each row
  std::vector<std::string_view> labels_;  // of each slot
};

}  // namespace vesper::api
