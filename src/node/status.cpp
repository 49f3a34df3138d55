#include "node/status.hpp"

#include "node/node.hpp"

namespace vesper::node {
void Counters::count_batch(std::size_t entries) {
  std::size_t bucket = 0;
  while (bucket + 1 < batch_buckets.size() && (std::size_t{1} << bucket) < entries) ++bucket;
  ++batch_buckets[bucket];
  batch_sum += entries;
  ++batch_count;
}

void Counters::count_result(const kv::WriteResult& result) {
  if (result.replayed) ++writes_replayed;
  if (result.kind == kv::WriteResult::Kind::key_reused) ++idempotency_keys_reused;
  if (result.kind == kv::WriteResult::Kind::table_full) ++idempotency_refused_full;
}

Status Node::status(Instant now) const {
  const kv::Store& store = state_.store();
  Status status;
  status.role = to_string(role_of(raft_));
  status.term = raft_.current_term();
  status.leader = raft_.leader();
  status.last_index = raft_.log().last_index();
  status.commit_index = raft_.commit_index();
  status.applied_index = state_.index();
  status.revision = store.revision();
  status.digest = store.digest();
  status.cluster_id = state_.configuration().cluster_id;
  status.cluster_seen = raft_.cluster_seen();
  status.leader_fresh = status.leader.has_value() &&
                        now - raft_.leader_heard().at <= raft_.config().election_timeout * 2;
  status.caught_up = state_.index() >= raft_.leader_heard().commit && state_.index().value > 0;
  status.regressed = raft_.has_regressed(raft_.self());
  status.divergence = self_check_.divergence();
  status.log_entries = raft_.log().size();
  status.log_bytes = raft_.log().bytes();
  status.log_first_index = raft_.log().first_index();
  status.snapshot_index = raft_.snapshot().last_index;
  if (const auto* newest = files_.find(status.snapshot_index))
    status.snapshot_bytes = newest->file_bytes;
  status.snapshots = files_.files();
  status.taking_snapshot = snapshotter_.is_taking();
  if (const auto receiving = snapshotter_.receiving()) {
    status.receiving_chunks = receiving->chunks;
    status.receiving_of = receiving->of;
  }
  status.keys = store.size();
  status.leases = store.leases().size();
  status.locks = store.locks().held();
  status.lock_waiters = store.locks().waiters();
  status.store_bytes = store.bytes();
  status.store_cost = store.cost();
  status.history_bytes = store.keyspace().history_cost();
  status.oldest_revision = store.keyspace().oldest_revision();
  status.quota = housekeeping_.quota(store);
  status.idempotency_bytes = store.idempotency_table().bytes();
  status.idempotency_keys = store.idempotency_table().size();
  status.inflight_requests = writes_.waiting() + queues_.reads() + queues_.writes();
  status.inflight_bytes = writes_.bytes() + queues_.write_bytes();
  status.watches = watches_.figures();
  status.waiters = waiters();
  return status;
}

}  // namespace vesper::node
