// Which keys end by themselves, and when: those with a deadline, in the order of their deadlines,
// and the keys of each lease, in key order. The keyspace keeps it in step with the live versions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>

#include "kv/deadline_order.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

class TemporaryKeys {
 public:
  struct ByKey {
    using is_transparent = void;
    bool operator()(const Version* a, const Version* b) const { return a->key() < b->key(); }
    bool operator()(const Version* a, std::string_view b) const { return a->key() < b; }
    bool operator()(std::string_view a, const Version* b) const { return a < b->key(); }
  };
  // Live versions, which the keyspace keeps alive.
  using Keys = std::set<const Version*, ByKey>;

  // A version became live, or ceased to be. Ignores one that is not temporary.
  void add(const Version& version);
  void remove(const Version& version);

  const DeadlineOrder& by_deadline() const { return by_deadline_; }
  // The keys of a lease; an empty set if it has none.
  const Keys& of_lease(std::uint64_t lease) const;
  // The leases that have keys.
  const std::map<std::uint64_t, Keys>& leases() const { return of_lease_; }

  // For a keyspace that was discarded: frees about `max` entries, lowers it, and returns true if
  // nothing is left.
  bool free_some(std::size_t& max);

 private:
  DeadlineOrder by_deadline_;
  std::map<std::uint64_t, Keys> of_lease_;
};

}  // namespace vesper::kv
