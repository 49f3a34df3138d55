// How a store becomes the start of a new cluster (store.hpp).
#include <utility>
#include <vector>

#include "kv/store.hpp"

namespace vesper::kv {

// The tombstones of all locks are one transaction of the new revision. Without a lock, no event has
// that revision.
void Store::begin_new_cluster(LogTime now) {
  while (!locks_.waiter_items().empty())
    leave_queue(locks_.waiter_items().begin()->first, std::nullopt);
  const std::uint64_t revision = keyspace_.revision() + kRevisionLeap;
  std::vector<VersionRef> tombstones;
  while (!locks_.holders().empty()) {
    const LockName lock = locks_.holders().begin()->first;
    locks_.free(lock);
    VersionFields fields;
    fields.revision = revision;
    fields.tombstone = true;
    fields.space = lock.space;
    fields.place = static_cast<std::uint32_t>(tombstones.size() + 1);
    tombstones.push_back(Version::make(lock.name, std::string_view(), fields));
  }
  keyspace_.leap(tombstones.empty() ? revision : revision - 1);
  if (!tombstones.empty()) keyspace_.commit(std::move(tombstones));
  keyspace_.compact(revision);
  times_.forget_below(revision);
  times_.add(now, revision);
}

}  // namespace vesper::kv
