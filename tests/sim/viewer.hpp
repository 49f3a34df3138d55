// A client that reads the trace of one server after the other. What it gets must fit together: of
// each server a state first, and then what follows from it.
#pragma once

#include <map>
#include <memory>

#include "base/prng.hpp"
#include "node/trace_feed.hpp"
#include "sim/safety.hpp"

namespace vesper::sim {

class Viewer {
 public:
  static constexpr std::size_t kNumber = 99;  // apart from those of watchers
  static constexpr std::uint64_t kConnection = std::uint64_t{1} << 49;

  // Decides whether this world has a viewer.
  void begin(std::uint64_t seed);
  bool exists() const { return exists_; }

  // Connects to the server at this place. `stream` may be null: it has refused.
  void open(std::size_t place, std::unique_ptr<node::TraceViewer> stream);
  void close();
  bool is_at(std::size_t place) const { return stream_ != nullptr && place_ == place; }
  bool is_open() const { return stream_ != nullptr; }
  std::size_t place() const { return place_; }

  // The next event, checked. Nothing if there is none now. `self`: the server that sends them.
  std::optional<node::TraceItem> next(raft::NodeId self, Violation& wrong);

  Prng random{0};

 private:
  struct Seen {
    bool has_state = false;
    raft::Term term;
    raft::Index last_index;
  };
  Violation check(const node::TraceItem& item, raft::NodeId self);

  bool exists_ = false;
  std::size_t place_ = 0;
  std::unique_ptr<node::TraceViewer> stream_;
  std::map<raft::NodeId, Seen> seen_;
};

}  // namespace vesper::sim
