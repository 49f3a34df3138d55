// What this server has applied: the store, and the place in the log that it stands for. The two
// only move together.
#pragma once

#include <memory>
#include <optional>

#include "base/result.hpp"
#include "kv/store.hpp"
#include "raft/entry.hpp"
#include "raft/types.hpp"

namespace vesper::node {

class AppliedState {
 public:
  // `store` is the content of `snapshot`; an empty one if there is no snapshot.
  AppliedState(const raft::Snapshot& snapshot, std::unique_ptr<kv::Store> store);

  // Applies the entry after index(), which is committed (L9). Gives the result of a command,
  // nothing for other entries. An error means that this build cannot apply the entry: the node
  // stops.
  Result<std::optional<kv::WriteResult>> apply(const raft::Entry& entry);
  // Takes the place of the state: `store` is the content of `snapshot`. Returns the old store.
  std::unique_ptr<kv::Store> install(const raft::Snapshot& snapshot,
                                     std::unique_ptr<kv::Store> store);

  // A snapshot of this state, as far as it is known before its content is written.
  raft::Snapshot identity() const;
  // The last entry crossed a multiple of `entries` or of `bytes`. These positions are the same on
  // every server, so that their snapshots are, too.
  bool crossed(std::uint64_t entries, std::uint64_t bytes) const {
    return index_.value % entries == 0 || (bytes_ - last_bytes_) / bytes != bytes_ / bytes;
  }

  kv::Store& store() { return *store_; }
  const kv::Store& store() const { return *store_; }
  raft::Index index() const { return index_; }  // of the last entry
  raft::Term term() const { return term_; }     // of the last entry
  // Committed; without a cluster id before the Bootstrap entry.
  const raft::Configuration& configuration() const { return configuration_; }

 private:
  std::unique_ptr<kv::Store> store_;
  raft::Index index_;
  raft::Term term_;
  raft::LogTime time_;
  std::uint64_t bytes_ = 0;       // of all entries up to index_
  std::uint64_t last_bytes_ = 0;  // of the entry applied last; 0: none since the snapshot
  raft::Configuration configuration_;
};

}  // namespace vesper::node
