#include "kv/temporary_keys.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace vesper::kv {

void TemporaryKeys::add(const Version& version) {
  if (version.deadline().value != 0) by_deadline_.insert(version);
  if (version.lease() != 0) of_lease_[version.lease()].insert(&version);
}

void TemporaryKeys::remove(const Version& version) {
  if (version.deadline().value != 0) by_deadline_.erase(version);
  if (version.lease() == 0) return;
  const auto keys = of_lease_.find(version.lease());
  VESPER_ASSERT(keys != of_lease_.end());
  const std::size_t removed = keys->second.erase(&version);
  VESPER_ASSERT(removed == 1);
  if (keys->second.empty()) of_lease_.erase(keys);
}

const TemporaryKeys::Keys& TemporaryKeys::of_lease(std::uint64_t lease) const {
  static const Keys kNone;
  const auto keys = of_lease_.find(lease);
  return keys == of_lease_.end() ? kNone : keys->second;
}

bool TemporaryKeys::free_some(std::size_t& max) {
  while (max > 0 && !by_deadline_.empty()) max -= std::min(max, by_deadline_.discard_chunk());
  while (max > 0 && !of_lease_.empty()) {
    Keys& keys = of_lease_.begin()->second;
    for (; max > 0 && !keys.empty(); --max) keys.erase(keys.begin());
    if (keys.empty()) of_lease_.erase(of_lease_.begin());
  }
  return by_deadline_.empty() && of_lease_.empty();
}

}  // namespace vesper::kv
