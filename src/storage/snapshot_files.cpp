#include "storage/snapshot_files.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace vesper::storage {
Result<std::vector<raft::Index>> SnapshotFiles::open() {
  auto names = fs_.list();
  if (!names) return std::move(names).error();
  std::vector<raft::Index> found;
  for (const std::string& name : *names) {
    if (const auto index = parse_snapshot_name(name)) found.push_back(*index);
  }
  // After a kill -9 a rename may not be durable yet. Make it durable before anything relies on it.
  if (auto synced = fs_.sync_directory(); !synced) return std::move(synced).error();
  std::sort(found.begin(), found.end(), std::greater<>());
  on_disk_ = found;
  return found;
}

std::string SnapshotFiles::temporary(Writer w) {
  return std::string(w == Writer::taken ? kTakenTemporary : kReceivedTemporary);
}

const StoredSnapshot* SnapshotFiles::find(raft::Index index) const {
  for (const StoredSnapshot& stored : stored_)
    if (stored.snapshot.last_index == index) return &stored;
  return nullptr;
}

std::size_t SnapshotFiles::files() const {
  const auto unread = [this](raft::Index index) { return find(index) == nullptr; };
  return stored_.size() +
         static_cast<std::size_t>(std::count_if(on_disk_.begin(), on_disk_.end(), unread));
}

// ---- writing ------------------------------------------------------------------------------

void SnapshotFiles::begin(Writer w, raft::Index last_index, std::uint32_t chunk_bytes) {
  VESPER_ASSERT(!writing(w));
  Writing& writing = writers_[at(w)] = Writing{};
  writing.state = State::making;
  writing.last_index = last_index;
  writing.chunk_bytes = chunk_bytes;
  submit({Doing::write, w, {}, {}, Allocate{temporary(w), 0, 0}});
}

bool SnapshotFiles::ready(Writer w) const {
  const Writing& writing = writers_[at(w)];
  return !writing.given_up && writing.waiting.empty() &&
         (writing.state == State::making || writing.state == State::open);
}

void SnapshotFiles::append(Writer w, std::vector<SharedBytes> records) {
  VESPER_ASSERT(ready(w));
  VESPER_ASSERT(!records.empty());
  Writing& writing = writers_[at(w)];
  if (writing.state == State::making) writing.waiting = std::move(records);
  else write_records(w, State::appending, records);
}

void SnapshotFiles::write_records(Writer w, State state, const std::vector<SharedBytes>& records) {
  Writing& writing = writers_[at(w)];
  Append job{temporary(w), writing.offset, {}};
  if (writing.offset == 0) {
    job.parts.push_back(SharedBytes::copy_of(encode_snapshot_head(
        {owner_.server, owner_.incarnation, writing.last_index, writing.chunk_bytes})));
    writing.offset = kSnapshotHead;
  }
  for (const SharedBytes& record : records) {
    job.parts.push_back(record);
    writing.offsets.push_back(writing.offset);
    writing.offset += record.size();
  }
  writing.in_flight = records.size();
  writing.state = state;
  submit({Doing::write, w, {}, {}, std::move(job)});
}

void SnapshotFiles::finish(Writer w, const raft::Snapshot& snapshot) {
  VESPER_ASSERT(ready(w));
  Writing& writing = writers_[at(w)];
  VESPER_ASSERT(writing.state == State::open);
  VESPER_ASSERT(snapshot.last_index == writing.last_index);
  VESPER_ASSERT(snapshot.chunks() == writing.offsets.size());
  writing.snapshot = snapshot;
  write_records(w, State::ending, {encode_end(snapshot)});
}

void SnapshotFiles::give_up(Writer w) {
  Writing& writing = writers_[at(w)];
  writing.waiting.clear();
  if (writing.state == State::idle || writing.given_up) return;
  writing.given_up = true;
  // In every other state a job of this writer is in flight, and its completion removes the file.
  if (writing.state == State::open) remove_temporary(w);
}

void SnapshotFiles::remove_temporary(Writer w) {
  writers_[at(w)].state = State::removing;
  submit({Doing::write, w, {}, {}, Remove{temporary(w)}});
}

Result<void> SnapshotFiles::written(Writer w, const JobDone& done, Outcome& out) {
  Writing& writing = writers_[at(w)];
  const State state = writing.state;
  if (!done.result) {
    if (!out_of_space(done.result.error().code) || state == State::naming ||
        state == State::removing)
      return Error{fmt::format("cannot write a snapshot: {}", done.result.error().what),
                   done.result.error().code};
    out.note =
        fmt::format("no space for a snapshot ({}) -> abandoning it", done.result.error().what);
    if (!writing.given_up) out.failed = w;
    writing.given_up = true;
  }
  if (state == State::removing) {
    writing = Writing{};
  } else if (state == State::naming) {
    // The file is published. A give_up() that came meanwhile was too late, and is harmless.
    StoredSnapshot stored{writing.snapshot, std::move(writing.offsets), writing.offset, false};
    std::erase_if(stored_, [&](const StoredSnapshot& old) {
      return old.snapshot.last_index == stored.snapshot.last_index;
    });
    stored_.push_back(std::move(stored));
    if (!writing.given_up) out.finished = w;
    writing = Writing{};
  } else if (writing.given_up) {
    remove_temporary(w);
  } else if (state == State::ending) {
    writing.state = State::naming;
    submit({Doing::write, w, {}, {}, Rename{temporary(w), snapshot_name(writing.last_index)}});
  } else {
    writing.state = State::open;
    if (state == State::appending) {
      out.appended = w;
      out.records = writing.in_flight;
    }
    if (!writing.waiting.empty())
      write_records(w, State::appending, std::exchange(writing.waiting, {}));
  }
  return {};
}

// ---- reading and removing -----------------------------------------------------------------

void SnapshotFiles::read(raft::Index snapshot, std::uint64_t chunk, std::uint64_t asker) {
  // Drops a request that is already queued, so that a stuck disk does not accumulate requests.
  for (const Task& waiting : queue_)
    if (waiting.doing == Doing::read && waiting.read.snapshot == snapshot &&
        waiting.read.chunk == chunk && waiting.read.asker == asker)
      return;
  Task task{Doing::read, Writer::taken, {snapshot, chunk, asker, {}}, {}, Read{}};
  const StoredSnapshot* stored = find(snapshot);
  if (stored != nullptr && chunk + 1 < stored->offsets.size()) {
    const std::uint64_t begin = stored->offsets[chunk];
    task.work = Read{snapshot_name(snapshot), begin,
                     static_cast<std::size_t>(stored->offsets[chunk + 1] - begin)};
  } else {
    // The read fails in its turn, and so reports that the chunk is gone.
    task.work = Read{snapshot_name(snapshot), 0, 1};
  }
  submit(std::move(task));
}

void SnapshotFiles::read_done(Task& task, const JobDone& done, Outcome& out) {
  out.read = std::move(task.read);
  const auto bad = [&](std::string_view what) {
    out.note = fmt::format("{}: chunk {} cannot be sent: {}", snapshot_name(out.read->snapshot),
                           out.read->chunk, what);
    for (StoredSnapshot& stored : stored_)
      if (stored.snapshot.last_index == out.read->snapshot) stored.damaged = true;
  };
  if (!done.result) return bad(done.result.error().what);
  if (const auto content =
          decode_chunk(zstd_, done.bytes.view(), out.read->snapshot, out.read->chunk);
      !content)
    return bad(content.error().what);
  out.read->record = done.bytes;
}

void SnapshotFiles::prune(raft::Index log_begins, const std::vector<raft::Index>& used) {
  const auto useless = [&](raft::Index index) {
    return index < log_begins && std::find(used.begin(), used.end(), index) == used.end();
  };
  std::vector<raft::Index> gone;
  for (const StoredSnapshot& stored : stored_)
    if (useless(stored.snapshot.last_index)) gone.push_back(stored.snapshot.last_index);
  for (const raft::Index index : on_disk_)
    if (useless(index)) gone.push_back(index);
  std::sort(gone.begin(), gone.end());
  gone.erase(std::unique(gone.begin(), gone.end()), gone.end());
  for (const raft::Index index : gone) {
    std::erase_if(stored_, [&](const StoredSnapshot& s) { return s.snapshot.last_index == index; });
    std::erase(on_disk_, index);
    submit({Doing::remove, Writer::taken, {}, index, Remove{snapshot_name(index)}});
  }
}

// ---- jobs ---------------------------------------------------------------------------------

void SnapshotFiles::submit(Task task) {
  queue_.push_back(std::move(task));
  start_next();
}

void SnapshotFiles::start_next() {
  if (in_flight_ || queue_.empty() || stopped_) return;
  in_flight_ = JobId{JobOwner::snapshots, next_job_++};
  fs_.submit(Job{*in_flight_, std::move(queue_.front().work)});
}

Result<SnapshotFiles::Outcome> SnapshotFiles::on_done(const JobDone& done) {
  VESPER_ASSERT(done.id == in_flight_);
  in_flight_.reset();
  Task task = std::move(queue_.front());
  queue_.pop_front();
  Outcome out;
  switch (task.doing) {
    case Doing::write:
      if (auto taken = written(task.writer, done, out); !taken) return std::move(taken).error();
      break;
    case Doing::read: read_done(task, done, out); break;
    case Doing::remove:
      if (!done.result)
        return Error{fmt::format("cannot remove {}: {}", snapshot_name(task.removed),
                                 done.result.error().what),
                     done.result.error().code};
      break;
  }
  start_next();
  return out;
}

}  // namespace vesper::storage
