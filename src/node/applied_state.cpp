#include "node/applied_state.hpp"

#include <fmt/core.h>

#include <utility>

#include "raft/raft.hpp"

namespace vesper::node {

// The store expires data relative to the time stamped into an entry, which may precede its commit
// by this much. Both constants must therefore agree.
static_assert(kv::kMostUndecided == raft::kMostUndecided);

AppliedState::AppliedState(const raft::Snapshot& snapshot, std::unique_ptr<kv::Store> store) {
  install(snapshot, std::move(store));
}

Result<std::optional<kv::WriteResult>> AppliedState::apply(const raft::Entry& entry) {
  VESPER_ASSERT(entry.index == index_.next());
  index_ = entry.index;
  term_ = entry.term;
  time_ = entry.time;
  last_bytes_ = entry.bytes.size();
  bytes_ += last_bytes_;
  raft::apply_configuration(entry, configuration_);
  if (entry.type != raft::EntryType::command) return std::optional<kv::WriteResult>();
  auto result = store_->apply(entry.payload(), kv::LogTime{entry.time.value}, entry.index.value);
  if (!result)
    return Error{fmt::format(
        "cannot apply entry {}: {}; a newer version of Vesper wrote it, so run that version",
        entry.index.value, result.error().what)};
  return std::optional<kv::WriteResult>(std::move(*result));
}

std::unique_ptr<kv::Store> AppliedState::install(const raft::Snapshot& snapshot,
                                                 std::unique_ptr<kv::Store> store) {
  VESPER_ASSERT(store != nullptr);
  index_ = snapshot.last_index;
  term_ = snapshot.last_term;
  time_ = snapshot.log_time;
  bytes_ = snapshot.log_bytes;
  last_bytes_ = 0;
  configuration_ = snapshot.configuration;
  return std::exchange(store_, std::move(store));
}

raft::Snapshot AppliedState::identity() const {
  raft::Snapshot snapshot;
  snapshot.last_index = index_;
  snapshot.last_term = term_;
  snapshot.log_time = time_;
  snapshot.log_bytes = bytes_;
  snapshot.configuration = configuration_;
  return snapshot;
}

}  // namespace vesper::node
