// The place of a watch in the event log. It is a revision and a place in it, not a number of an
// event, so that it is valid on every node and in every copy of the store. It holds no memory of
// the log: what is compacted before the cursor has passed it is lost to the watch.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "kv/keyspace.hpp"
#include "node/watch_filter.hpp"

namespace vesper::node {

// What a client has seen, as the ids of events say it: `7` is all of revision 7, and `7.2` is
// revision 7 up to its second event. Whatever the filter, places count all events of a revision.
struct WatchId {
  std::uint64_t revision = 0;
  std::uint32_t part = 0;  // 0: all of the revision

  auto operator<=>(const WatchId&) const = default;
};

class WatchCursor {
 public:
  struct Event {
    kv::VersionRef version;
    kv::VersionRef replaced;  // null: there was none
    // Another event of the same revision passes the filter.
    bool more = false;
  };
  enum class Step : std::uint8_t {
    event,       // the next one was found
    caught_up,   // the log has no further event that passes
    unfinished,  // the budget is used up
    compacted,   // events that the cursor has not passed are gone
  };

  WatchCursor() : WatchCursor(WatchId{}) {}
  // Continues after `seen`.
  explicit WatchCursor(WatchId seen) { move_after(seen); }

  void move_after(WatchId seen);
  // Moves to an event, which comes next if it passes.
  void move_to(const kv::Version& event);

  // Looks at most at `budget` events, and lowers it by those that it looked at.
  Step advance(const kv::Keyspace& keyspace, const WatchFilter& filter, std::size_t& budget,
               Event& event);

  // True if every event from the cursor on is kept. If not, advance() returns compacted.
  bool is_kept(const kv::Keyspace& keyspace) const {
    return revision_ >= keyspace.oldest_revision();
  }
  // Everything up to and including this revision was passed.
  std::uint64_t passed() const { return revision_ - 1; }
  // False while the events of a revision were passed in part.
  bool is_between_revisions() const { return place_ == 1 && !found_; }

 private:
  // The next event to look at.
  std::uint64_t revision_ = 1;
  std::uint32_t place_ = 1;
  // That event passes the filter. Whether another one of its revision passes is known only up to,
  // and not including, the place `ahead_`.
  bool found_ = false;
  std::uint32_t ahead_ = 0;
};

}  // namespace vesper::node
