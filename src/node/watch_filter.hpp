// What a watch asks for: ranges of keys, locks and elections, and which kinds of events.
#pragma once

#include <vector>

#include "kv/key_range.hpp"
#include "kv/version.hpp"

namespace vesper::node {

struct SpaceRange {
  kv::Space space = kv::Space::keys;
  kv::KeyRange range;

  bool operator==(const SpaceRange&) const = default;
};

class WatchFilter {
 public:
  // A lock that is granted counts as a put, and one that gets free as a delete.
  enum class Kinds : std::uint8_t { puts, deletes, all };

  // The ranges may overlap.
  WatchFilter(std::vector<SpaceRange> ranges, Kinds kinds);

  // In the order of spaces and names. They do not overlap, and none is empty.
  const std::vector<SpaceRange>& ranges() const { return ranges_; }
  Kinds kinds() const { return kinds_; }
  // Whether the event is of one of the kinds.
  bool takes(const kv::Version& event) const {
    return kinds_ == Kinds::all || event.is_tombstone() == (kinds_ == Kinds::deletes);
  }
  // The same, and it is in one of the ranges. O(log n).
  bool passes(const kv::Version& event) const;

 private:
  std::vector<SpaceRange> ranges_;
  Kinds kinds_;
};

}  // namespace vesper::node
