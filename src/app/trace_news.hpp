// What GET /trace has said of late: which nodes are silent, how many messages are sent, and the
// last transitions as sentences. `vesper top` shows it. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "json/document.hpp"

namespace vesper::app {

// The families of messages that the web page tells apart, too (src/ui/dots.js).
enum class MessageFamily : std::uint8_t { votes, snapshots, appends, heartbeats, others };
inline constexpr std::size_t kMessageFamilies = 5;
using MessageCounts = std::array<std::uint64_t, kMessageFamilies>;
std::string_view to_string(MessageFamily family);

class TraceNews {
 public:
  static constexpr std::size_t kMaxTransitions = 50;

  struct Transition {
    Instant at;
    std::uint64_t node = 0;
    std::string text;  // "term 4: granted its vote to node 2"
  };

  // Takes an event that arrived at `now`. Ignores what it does not know. Returns true if a node
  // fell silent or came back, if there is a new transition, or if the stream has just begun.
  bool take(const json::Value& event, Instant now);
  // The stream broke off: nothing is known of the present any more.
  void lose();

  // True if there is a stream of events.
  bool is_live() const { return !nodes_.empty(); }
  bool is_silent(std::uint64_t node) const;
  // Messages in the last second, of all nodes.
  MessageCounts messages() const;
  // The newest is the last.
  const std::deque<Transition>& transitions() const { return transitions_; }

 private:
  struct Sent {
    double at;  // ms, like that of the event
    MessageCounts counts{};
    bool is_rate = false;  // the count of all messages in the 250 ms before `at`
  };
  struct Node {
    bool is_silent = false;
    std::optional<std::uint64_t> term;
    std::set<std::uint64_t> unreachable;  // nodes that this one does not reach
    std::deque<Sent> sent;
  };

  bool take_event(const json::Value& event, Instant now);
  bool add(std::uint64_t id, std::optional<std::uint64_t> term, std::string words, Instant now);
  bool take_reachable(std::uint64_t id, Node& node, const json::Value& event, Instant now);

  std::map<std::uint64_t, Node> nodes_;
  double newest_ = 0;  // `at` of the newest event
  std::deque<Transition> transitions_;
};

}  // namespace vesper::app
