// The state that this server has applied: the key-value store and the log position it reflects.
// AppliedState keeps the two in step. Node calls it for each committed entry; Snapshotter reads the
// store.
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
  // `store` is the content of `snapshot`; pass an empty store if there is no snapshot.
  AppliedState(const raft::Snapshot& snapshot, std::unique_ptr<kv::Store> store);

  // Applies the entry at index() + 1, which must be committed (L9). Returns the result of a
  // command, and nothing for other entry types. An error means that this build cannot apply the
  // entry; the node must stop.
  Result<std::optional<kv::WriteResult>> apply(const raft::Entry& entry);
  // Replaces the state. `store` is the content of `snapshot`. Returns the old store.
  std::unique_ptr<kv::Store> install(const raft::Snapshot& snapshot,
                                     std::unique_ptr<kv::Store> store);

  // Describes a snapshot of this state. The fields that depend on its content (size, checksum) are
  // not set yet.
  raft::Snapshot identity() const;
  // True if the last entry crossed a multiple of `entries` or of `bytes`. All servers cross these
  // positions at the same entry, so their snapshots are identical.
  bool crossed(std::uint64_t entries, std::uint64_t bytes) const {
    return index_.value % entries == 0 || (bytes_ - last_bytes_) / bytes != bytes_ / bytes;
  }

  kv::Store& store() { return *store_; }
  const kv::Store& store() const { return *store_; }
  raft::Index index() const { return index_; }  // of the last entry
  raft::Term term() const { return term_; }     // of the last entry
  // The committed configuration. It has no cluster id before the Bootstrap entry.
  const raft::Configuration& configuration() const { return configuration_; }

 private:
  std::unique_ptr<kv::Store> store_;
  raft::Index index_;
  raft::Term term_;
  raft::LogTime time_;
  std::uint64_t bytes_ = 0;       // total size of all entries up to index_
  std::uint64_t last_bytes_ = 0;  // size of the last applied entry; 0 right after a snapshot
  raft::Configuration configuration_;
};

}  // namespace vesper::node
