#include "node/watch_cursor.hpp"

#include <algorithm>

namespace vesper::node {

void WatchCursor::move_after(WatchId seen) {
  revision_ = seen.part == 0 ? seen.revision + 1 : seen.revision;
  place_ = seen.part + 1;
  found_ = false;
}

void WatchCursor::move_to(const kv::Version& event) {
  revision_ = event.revision();
  place_ = event.place();
  found_ = false;
}

WatchCursor::Step WatchCursor::advance(const kv::Keyspace& keyspace, const WatchFilter& filter,
                                       std::size_t& budget, Event& event) {
  if (!is_kept(keyspace)) return Step::compacted;
  const std::uint64_t end = keyspace.end_of_events();
  const std::uint64_t first = keyspace.find_event(revision_);
  std::uint64_t at = first + place_ - 1;
  // A client may name a place that its revision does not have.
  if (place_ > 1) at = std::min(at, keyspace.find_event(revision_ + 1));
  if (!found_) {
    for (; at < end && !filter.passes(*keyspace.event(at)); ++at) {
      if (budget == 0) {
        move_to(*keyspace.event(at));
        return Step::unfinished;
      }
      --budget;
    }
    if (at == end) {
      move_after({keyspace.revision(), 0});
      return Step::caught_up;
    }
    move_to(*keyspace.event(at));
    found_ = true;
    ahead_ = place_ + 1;
  }
  const kv::Version& version = *keyspace.event(at);
  std::uint64_t next = at + (ahead_ - place_);
  const auto is_inside = [&] {
    return next < end && keyspace.event(next)->revision() == revision_;
  };
  for (; is_inside() && !filter.passes(*keyspace.event(next)); ++next) {
    if (budget == 0) {
      ahead_ = keyspace.event(next)->place();
      return Step::unfinished;
    }
    --budget;
  }
  event = {kv::VersionRef(&version), kv::VersionRef(keyspace.replaced_by(version)), is_inside()};
  if (event.more) move_to(*keyspace.event(next));
  else move_after({revision_, 0});
  return Step::event;
}

}  // namespace vesper::node
