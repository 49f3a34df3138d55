// A snapshot on its way through a node: one being taken from the store, or one being received from
// the leader. The work on them is in snapshots.cpp, in slices of one chunk a turn.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/checksum.hpp"
#include "kv/snapshot.hpp"
#include "raft/output.hpp"

namespace vesper::node {

struct TakingSnapshot {
  TakingSnapshot(raft::Snapshot identity, kv::Store& store)
      : snapshot(std::move(identity)), content(store) {}

  raft::Snapshot snapshot;  // content_bytes and checksum when the content has ended
  kv::Export content;
  Checksum64 sum;
  std::string chunk;  // what the next chunk has so far
  std::uint64_t next_chunk = 0;
  bool ended = false;      // the content is whole; what is left is its last chunk, if anything
  bool finishing = false;  // the end is being written
};

struct ReceivingSnapshot {
  ReceivingSnapshot(raft::Snapshot identity, std::size_t max_replies)
      : snapshot(std::move(identity)), content(max_replies) {}

  raft::Snapshot snapshot;
  kv::Import content;
  Checksum64 sum;
  std::uint64_t content_bytes = 0;   // so far
  std::deque<SharedBytes> waiting;   // chunks that came and have not been looked at
  bool begun = false;                // its file is being written
  std::uint64_t taken_in = 0;        // chunks verified and given to the disk
  std::uint64_t durable = 0;         // chunks on the disk
  std::unique_ptr<kv::Store> store;  // whole and verified, from the last chunk on
};

}  // namespace vesper::node
