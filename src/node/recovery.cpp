#include "node/recovery.hpp"

#include <fmt/core.h>

#include "kv/snapshot.hpp"

namespace vesper::node {
namespace {

struct Loaded {
  std::unique_ptr<kv::Store> store;
  storage::StoredSnapshot stored;
};

Result<Loaded> load(storage::Fs& fs, storage::SnapshotOwner owner, raft::Index index,
                    std::size_t max_idempotency_keys) {
  storage::SnapshotReader reader(fs, owner, index);
  kv::Import import(max_idempotency_keys);
  const auto in_file = [&](const Error& error) {
    return Error{fmt::format("{}: {}", storage::snapshot_name(index), error.what)};
  };
  for (;;) {
    auto content = reader.next();
    if (!content) return std::move(content).error();
    if (content->empty()) break;
    if (auto added = import.add(*content); !added) return in_file(added.error());
  }
  auto store = import.finish();
  if (!store) return in_file(store.error());
  return Loaded{std::move(store.value()), reader.stored()};
}

std::optional<raft::Term> term_at(const storage::RecoveredLog& log, raft::Index index) {
  if (index == log.kept.index) return log.kept.term;
  if (index < log.kept.index) return std::nullopt;
  const std::uint64_t position = index.value - log.kept.index.value - 1;
  if (position >= log.entries.size()) return std::nullopt;
  return log.entries[position].term;
}

// Adds `snapshot` to the recovered log. If the log does not lead to it, the snapshot was received
// from a leader, and the crash came before the Write that replaces the log (S3). `out.durable` then
// says what that Write would have stored.
Result<void> join(const raft::Snapshot& snapshot, storage::RecoveredLog& log, RecoveredNode& out) {
  const std::string name = storage::snapshot_name(snapshot.last_index);
  const Id128 cluster = snapshot.configuration.cluster_id;
  // A Bootstrap entry that was never committed does not bind this server to a cluster.
  const bool bound = log.commit_index.value > 0 || log.base.index.value > 0;
  if (bound && !log.cluster_id.is_none() && log.cluster_id != cluster)
    return Error{fmt::format("{} belongs to cluster {}, but the log to cluster {}", name,
                             to_hex(cluster), to_hex(log.cluster_id))};
  raft::RecoveredState& durable = out.durable;
  durable.snapshot = snapshot;
  if (term_at(log, snapshot.last_index) == snapshot.last_term) {
    durable.commit_index = std::max(durable.commit_index, snapshot.last_index);
    durable.entries = std::move(log.entries);
    durable.kept = log.kept;
    return {};
  }
  if (snapshot.last_index <= log.commit_index)
    return Error{fmt::format("{} has term {}, but the log has a different committed entry there",
                             name, snapshot.last_term.value)};
  out.notes.push_back(fmt::format(
      "the log ends at index {} and does not lead to {} -> replacing it with the snapshot",
      log.kept.index.value + log.entries.size(), name));
  durable.replaces_log = true;
  durable.base = {snapshot.last_index, snapshot.last_term, cluster};
  durable.commit_index = snapshot.last_index;
  if (durable.hard_state.current_term < snapshot.last_term)
    durable.hard_state = {snapshot.last_term, std::nullopt};
  return {};
}

// The index up to which the newest snapshot, if intact, makes the log unnecessary.
Result<raft::Index> unneeded(storage::Fs& fs, std::size_t tail) {
  auto names = fs.list();
  if (!names) return std::move(names).error();
  raft::Index newest(0);
  for (const std::string& name : *names)
    if (const auto index = storage::parse_snapshot_name(name)) newest = std::max(newest, *index);
  return raft::Index(newest.value - std::min<std::uint64_t>(newest.value, tail));
}

// Reopens the log and reads all of it.
Result<void> read_whole(storage::Fs& fs, raft::ServerId self, const storage::WalOptions& options,
                        storage::RecoveredLog& log, RecoveredNode& out) {
  out.wal.reset();
  auto wal = storage::Wal::open(fs, self, log.incarnation, options, log);
  if (!wal) return std::move(wal).error();
  out.wal = std::move(wal.value());
  return {};
}

}  // namespace

Result<RecoveredNode> recover(storage::Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                              const storage::WalOptions& options, std::size_t tail,
                              std::size_t max_idempotency_keys) {
  RecoveredNode out;
  const auto superfluous = unneeded(fs, tail);
  if (!superfluous) return superfluous.error();
  storage::RecoveredLog log;
  auto wal = storage::Wal::open(fs, self, fresh, options, log, *superfluous);
  if (!wal) return std::move(wal).error();
  out.wal = std::move(wal.value());
  out.incarnation = log.incarnation;
  out.notes = std::move(log.notes);
  out.durable.hard_state = log.hard_state;
  out.durable.commit_index = log.commit_index;
  out.durable.last_write = log.last_write;
  out.durable.base = log.base;

  const storage::SnapshotOwner owner{self, log.incarnation};
  out.snapshots = std::make_unique<storage::SnapshotFiles>(fs, owner);
  auto found = out.snapshots->open();
  if (!found) return std::move(found).error();
  std::optional<Error> damage;
  for (const raft::Index index : *found) {
    if (index < log.base.index) break;  // the log no longer continues from that snapshot
    auto loaded = load(fs, owner, index, max_idempotency_keys);
    if (!loaded) {
      // L10: acknowledged entries may exist only in this snapshot. The exception is a log that is
      // known to be committed up to it: then the log has those entries.
      if (index > log.commit_index) return std::move(loaded).error();
      out.notes.push_back(fmt::format("{} -> ignoring this snapshot", loaded.error().what));
      if (!damage) {
        damage = std::move(loaded).error();
        if (auto read = read_whole(fs, self, options, log, out); !read)
          return std::move(read).error();
      }
      continue;
    }
    const raft::Snapshot snapshot = loaded->stored.snapshot;
    if (auto joined = join(snapshot, log, out); !joined) return std::move(joined).error();
    out.notes.push_back(fmt::format("snapshot read: index {}, term {}, {} keys, {} bytes",
                                    snapshot.last_index.value, snapshot.last_term.value,
                                    loaded->store->size(), loaded->stored.file_bytes));
    out.store = std::move(loaded->store);
    out.snapshots->add(std::move(loaded->stored));
    return out;
  }
  if (log.base.index.value > 0) {
    if (damage) return *damage;
    return Error{
        fmt::format("the log begins after entry {}, but the directory has no snapshot that leads "
                    "there: a file snapshot-<index>, {} or above, is missing",
                    log.base.index.value, to_hex(log.base.index.value))};
  }
  out.store = std::make_unique<kv::Store>(max_idempotency_keys);
  out.durable.entries = std::move(log.entries);
  return out;
}

}  // namespace vesper::node
