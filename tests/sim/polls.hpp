// Checks the answer to one long poll (V4) and that it comes in time (V5), against the events of the
// model. It shares no code with the node. Instants are in ns of the server's clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "sim/model.hpp"

namespace vesper::sim {

using Violation = std::optional<std::string>;  // the broken rule, or nothing

class PollCheck {
 public:
  struct Asked {
    Span span;
    std::optional<std::uint64_t> since;  // nothing: what the server has when it takes the poll
    std::int64_t until = 0;              // the wait ends
    std::int64_t patience = 0;           // for the read, from when the wait ends
    std::size_t turns = 0;               // that the read may take besides
  };
  // What the server has.
  struct Server {
    std::uint64_t revision = 0, oldest = 0;
    std::uint64_t installed = 0;  // snapshots
  };
  enum class Answer : std::uint8_t { state, unchanged };

  explicit PollCheck(Asked asked) : asked_(std::move(asked)) {}

  // The server begins a turn. In the first one it takes the poll.
  void begin_turn(const Server& server);
  // The turn has ended, and its answers have not been seen yet.
  Violation end_turn(const Model& model, const Server& server, std::int64_t now);
  // The poll was answered in the turn that has just ended, with what the server had at `revision`.
  Violation answered(const Model& model, Answer answer, std::uint64_t revision);

  // The server has a reason to answer.
  bool is_due() const { return due_at_.has_value(); }
  // The history after `since` was compacted before the server took the poll.
  bool is_compacted() const { return compacted_; }
  // A change that explains the answer was there before the server took the poll.
  bool came_late() const { return came_late_; }

 private:
  std::string name() const;
  // The revision of the first change after `since`; UINT64_MAX: there is none.
  std::uint64_t first_change(const Model& model);

  Asked asked_;
  bool taken_ = false;
  Server began_;  // what the server had when it took the poll
  std::uint64_t since_ = 0;
  std::size_t next_ = 0;  // of the model's events: those before it are no change for this poll
  bool compacted_ = false, installed_ = false, came_late_ = false;
  bool is_over_ = false;   // the wait
  std::size_t turns_ = 0;  // that have ended since it should have been answered
  std::optional<std::int64_t> due_at_;
};

}  // namespace vesper::sim
