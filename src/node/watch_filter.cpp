#include "node/watch_filter.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace vesper::node {

WatchFilter::WatchFilter(std::vector<SpaceRange> ranges, Kinds kinds) : kinds_(kinds) {
  std::erase_if(ranges, [](const SpaceRange& one) { return one.range.is_empty(); });
  std::sort(ranges.begin(), ranges.end(), [](const SpaceRange& a, const SpaceRange& b) {
    return std::tie(a.space, a.range.start) < std::tie(b.space, b.range.start);
  });
  for (SpaceRange& next : ranges) {
    if (ranges_.empty() || ranges_.back().space != next.space) {
      ranges_.push_back(std::move(next));
      continue;
    }
    kv::KeyRange& last = ranges_.back().range;
    if (!last.is_to_the_end() && next.range.start > last.end) {
      ranges_.push_back(std::move(next));
    } else if (!last.is_to_the_end() && (next.range.is_to_the_end() || next.range.end > last.end)) {
      last.end = std::move(next.range.end);
    }
  }
}

bool WatchFilter::passes(const kv::Version& event) const {
  if (!takes(event)) return false;
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), event,
                                      [](const kv::Version& version, const SpaceRange& one) {
                                        if (version.space() != one.space)
                                          return version.space() < one.space;
                                        return version.key() < one.range.start;
                                      });
  if (after == ranges_.begin()) return false;
  const SpaceRange& one = *std::prev(after);
  return one.space == event.space() && one.range.contains(event.key());
}

}  // namespace vesper::node
