// What the tests of the log share: a model that says what the log must hold after each Write,
// random Writes, and the small loop that node is in production.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "raft/entry.hpp"
#include "storage/wal.hpp"
#include "support/mem_fs.hpp"

namespace vesper::test {

inline constexpr raft::ServerId kSelf{2};
inline constexpr raft::Incarnation kFresh{0x1122334455667788};
inline constexpr Id128 kCluster{0xc1, 0x57e4};

// Small enough that a few Writes fill segments and frames.
inline storage::WalOptions small_options() {
  storage::WalOptions options;
  options.segment_bytes = 8192;
  options.first_segment_bytes = 4096;
  options.slice_bytes = 2048;
  options.frame_bytes = 2048;
  return options;
}

inline raft::Entry command(std::uint64_t index, std::uint64_t term, std::string_view payload) {
  return raft::make_entry(raft::Index(index), raft::Term(term), raft::EntryType::command,
                          raft::LogTime(static_cast<std::int64_t>(index)), {}, payload);
}

inline raft::Entry bootstrap(std::uint64_t term, Id128 cluster = kCluster) {
  raft::Configuration configuration;
  configuration.cluster_id = cluster;
  configuration.members.push_back({raft::ServerId(0), "http://127.0.0.1:1", {}});
  return raft::make_entry(raft::Index(1), raft::Term(term), raft::EntryType::bootstrap, {}, {},
                          raft::encode_configuration(configuration));
}

struct LogState {
  raft::HardState hard_state;
  raft::Index commit_index;
  std::vector<raft::Entry> entries;
  raft::Index kept;  // keep_through of the Write that made this state
};

inline bool same_entries(const std::vector<raft::Entry>& a, const std::vector<raft::Entry>& b,
                         std::size_t count) {
  if (a.size() < count || b.size() < count) return false;
  for (std::size_t i = 0; i < count; ++i)
    if (a[i].bytes != b[i].bytes || a[i].index != b[i].index || a[i].term != b[i].term)
      return false;
  return true;
}

// What has been written, Write by Write. Payloads are unique, so that nothing old passes for new.
class Model {
 public:
  const LogState& last() const { return states_.back(); }
  std::uint64_t number() const { return base_ + states_.size() - 1; }
  const LogState& at(std::uint64_t number) const { return states_.at(number - base_); }

  raft::Write write(raft::HardState hard_state, std::uint64_t keep,
                    std::vector<raft::Entry> entries, std::uint64_t commit) {
    LogState state = last();
    state.hard_state = hard_state;
    state.commit_index = raft::Index(commit);
    state.kept = raft::Index(keep);
    state.entries.resize(keep);
    for (const raft::Entry& entry : entries) state.entries.push_back(entry);
    states_.push_back(std::move(state));
    return raft::Write{raft::WriteNumber(number()), hard_state, raft::Index(commit),
                       raft::Index(keep), std::move(entries)};
  }

  // Appends one entry of `payload_bytes` in the current term (at least 1).
  raft::Write append(std::size_t payload_bytes = 20) {
    raft::HardState hard_state = last().hard_state;
    if (hard_state.current_term.value == 0) hard_state.current_term = raft::Term(1);
    return write(
        hard_state, last().entries.size(),
        {command(last().entries.size() + 1, hard_state.current_term.value, payload(payload_bytes))},
        last().commit_index.value);
  }

  // Any Write that Raft could make now.
  raft::Write random(Prng& random) {
    const LogState& now = last();
    raft::HardState hard_state = now.hard_state;
    std::uint64_t keep = now.entries.size();
    if (hard_state.current_term.value == 0 || random.between(0, 9) == 0) {
      hard_state.current_term = hard_state.current_term.next();
      hard_state.voted_for.reset();
      // A new leader may overwrite what is not committed.
      keep = static_cast<std::uint64_t>(random.between(
          static_cast<std::int64_t>(now.commit_index.value), static_cast<std::int64_t>(keep)));
    }
    if (!hard_state.voted_for && random.between(0, 2) == 0)
      hard_state.voted_for = raft::ServerId(static_cast<std::uint32_t>(random.between(0, 4)));
    std::vector<raft::Entry> entries;
    const std::int64_t count = random.between(0, 3);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint64_t index = keep + entries.size() + 1;
      const std::int64_t size = random.between(0, 19) == 0 ? 5000 : random.between(10, 700);
      entries.push_back(index == 1 ? bootstrap(hard_state.current_term.value,
                                               {1, static_cast<std::uint64_t>(unique_++)})
                                   : command(index, hard_state.current_term.value,
                                             payload(static_cast<std::size_t>(size))));
    }
    const std::uint64_t commit = static_cast<std::uint64_t>(
        random.between(static_cast<std::int64_t>(now.commit_index.value),
                       static_cast<std::int64_t>(keep + entries.size())));
    return write(hard_state, keep, std::move(entries),
                 random.between(0, 3) == 0 ? commit : now.commit_index.value);
  }

  // Why `found` cannot be what a crash left when `acknowledged` had been reported durable; "" when
  // it can. A batch may reach the disk in several frames: then the entries of a later Write are
  // there in part, with its hard state, and it does not count as written.
  std::string judge(const storage::RecoveredLog& found, std::uint64_t acknowledged) const {
    const std::uint64_t n = found.last_write.value;
    if (n < acknowledged) return "an acknowledged Write is lost";
    if (n > number()) return "a Write that was never made";
    if (found.commit_index < at(acknowledged).commit_index) return "the commit index fell";
    if (found.commit_index.value > found.entries.size()) return "the commit index is too high";
    const Id128 cluster =
        found.entries.empty() ? Id128{} : storage::cluster_id_of(found.entries[0]);
    if (found.cluster_id != cluster) return "the cluster id is not that of the first entry";
    std::size_t least = at(n).entries.size();
    for (std::uint64_t m = n; m <= number(); ++m) {
      const LogState& state = at(m);
      if (m > n) least = std::min<std::size_t>(least, state.kept.value);
      if (m == n && found.entries.size() != state.entries.size()) continue;
      if (found.hard_state == state.hard_state && found.entries.size() >= least &&
          same_entries(found.entries, state.entries, found.entries.size()) &&
          found.commit_index <= state.commit_index)
        return "";
    }
    return "the log is none that was ever written";
  }

  // Goes on from what was found.
  void restart(const storage::RecoveredLog& found) {
    states_.clear();
    base_ = found.last_write.value;
    states_.push_back(
        {found.hard_state, found.commit_index, found.entries, raft::Index(found.entries.size())});
  }

 private:
  std::string payload(std::size_t bytes) {
    std::string text = std::to_string(unique_++) + ":";
    if (text.size() < bytes) text.resize(bytes, static_cast<char>('a' + unique_ % 26));
    return text;
  }

  std::vector<LogState> states_{LogState{}};
  std::uint64_t base_ = 0;  // number of states_[0]
  int unique_ = 0;
};

// A log on its disk, as node runs it.
struct Machine {
  MemFs& fs;
  Instant now{seconds(1).ns};
  std::unique_ptr<storage::Wal> wal;
  storage::RecoveredLog found;

  Result<void> open(const storage::WalOptions& options = small_options()) {
    wal.reset();
    auto opened = storage::Wal::open(fs, kSelf, kFresh, options, found);
    if (!opened) return std::move(opened).error();
    wal = std::move(*opened);
    wal->flush(now);  // the first call tells it what time it is
    return {};
  }
  // One turn of the loop: false where nothing is to be done at this time. flush() does something
  // exactly when deadline() says so: a loop that believes it neither spins nor oversleeps.
  Result<bool> turn() {
    const bool due = wal->deadline() <= now;
    const bool waiting = fs.jobs() > 0;
    wal->flush(now);
    if (!waiting && fs.powered()) REQUIRE((fs.jobs() > 0) == due);
    auto done = fs.run_one();
    if (!done) return false;
    if (auto taken = wal->on_done(*done, now); !taken) return std::move(taken).error();
    return true;
  }
  // Turns until nothing more happens at this time.
  Result<void> run() {
    for (;;) {
      Result<bool> more = turn();
      if (!more) return std::move(more).error();
      if (!*more) return {};
    }
  }
  // As above, and then 100 ms of quiet: seal and spare, too.
  Result<void> run_quiet() {
    if (auto ran = run(); !ran) return ran;
    now = now + milliseconds(100);
    return run();
  }
};

inline std::string error_of(const Result<void>& result) {
  return result.ok() ? "" : result.error().what;
}

}  // namespace vesper::test
