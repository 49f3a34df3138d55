#include "node/read_batcher.hpp"

#include <utility>

namespace vesper::node {

std::uint64_t ReadBatcher::join(std::uint64_t connection, ReadLevel level) {
  gathering_needs_round_ |= level == ReadLevel::linearizable;
  gathering_connections_.push_back(connection);
  return gathering_;
}

std::optional<raft::ReadIndex> ReadBatcher::ask(raft::Term term,
                                                std::optional<raft::ServerId> leader, Instant now,
                                                Duration patience) {
  if (asking_) {
    const bool same = asked_term_ == term && asked_leader_ == leader;
    if (same && now < ask_again_at_) return std::nullopt;
    asking_ = false;
  }
  if (!leader) return std::nullopt;
  if (asking_connections_.empty() && gathering_connections_.empty()) return std::nullopt;
  // A repeated request always uses a heartbeat round, not the lease.
  const bool leader_lease = !gathering_needs_round_ && asking_connections_.empty();
  asking_connections_.insert(asking_connections_.end(), gathering_connections_.begin(),
                             gathering_connections_.end());
  gathering_connections_.clear();
  gathering_needs_round_ = false;
  ++gathering_;
  asking_ = true;
  asked_term_ = term;
  asked_leader_ = leader;
  ask_again_at_ = now + patience;
  return raft::ReadIndex{++asked_id_, leader_lease};
}

std::vector<std::uint64_t> ReadBatcher::answered(std::uint64_t id) {
  if (!asking_ || id != asked_id_) return {};
  asking_ = false;
  return std::exchange(asking_connections_, {});
}

void ReadBatcher::forget_reads() {
  gathering_connections_.clear();
  gathering_needs_round_ = false;
  asking_connections_.clear();
}

}  // namespace vesper::node
