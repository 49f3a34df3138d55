// The idempotency table. It keeps the result of each write that came with an idempotency key, so
// that a retry gets the same answer and is not applied twice (thesis 6.3, K1). Part of the
// replicated state: what is in here, and when it is forgotten, follows from the log alone, its
// stamps included.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "kv/item.hpp"

namespace vesper::kv {

// The stamp of an entry of the log: nanoseconds of the cluster's one clock, from 0. Never falls.
using LogTime = StrongId<struct LogTimeTag, std::int64_t>;

// Equal on all servers for good: they decide the fate of a write.
inline constexpr std::size_t kMaxIdempotencyKeys = 100'000;    // more keys are refused; see Store
inline constexpr Duration kIdempotencyKeyKept = seconds(600);  // of log time, after the decision
inline constexpr Duration kMostUndecided = seconds(1);  // from an entry's stamp to its decision
inline constexpr std::size_t kForgottenPerCommand = 4;  // at most, so that no apply is long

// The result of one write. Only put and removed have changed anything.
struct WriteResult {
  // The numbers are those of the byte form, see below.
  enum class Kind : std::uint8_t {
    put = 1,
    removed = 2,
    absent = 3,
    precondition_failed = 4,
    // Never kept: the write was not decided.
    key_reused = 5,  // its idempotency key stands for another request
    table_full = 6,  // its idempotency key is new, and there is no room for one
  };
  Kind kind = Kind::absent;
  std::uint64_t revision = 0;  // the store's after the write: of put and removed, its own
  // Of a put, the key's afterwards; else 0.
  std::uint64_t create_revision = 0;
  std::uint64_t version = 0;
  std::uint64_t current_revision = 0;  // the key's afterwards; 0 if it is absent
  bool replayed = false;  // decided earlier, by another command of the same idempotency key
};

struct KeptResult {
  std::string idempotency_key;
  Id128 fingerprint;
  LogTime asked_at;  // the stamp of the last command that got this result: its time begins again
  WriteResult result;
};

class IdempotencyTable {
 public:
  explicit IdempotencyTable(std::size_t most) : most_(most) {}

  std::size_t size() const { return kept_.size(); }
  std::size_t most() const { return most_; }
  bool full() const { return size() >= most_; }

  // Forgets a few results whose time is over. Called with every command, before find(), so that
  // there is room for one more unless all have time left (K2). A command keeps one at most: results
  // are forgotten faster than they come.
  void forget(LogTime now) {
    if (!kept_.empty() && is_over(kept_.begin()->second, now)) forget_some(now);
  }
  // Null if the key is new, or the time of its result is over. Valid until the next change.
  const KeptResult* find(std::string_view idempotency_key, LogTime now) const;
  // False, and nothing is kept, if find() finds the key at `kept.asked_at`. Requires !full().
  bool keep(KeptResult kept);
  // The result was asked for again at `now`. Requires that find() finds the key.
  void refresh(std::string_view idempotency_key, LogTime now);

  // The sum of the results' digests; and from scratch, for tests.
  Id128 digest() const { return sum_; }
  Id128 recomputed_digest() const;

  // For a snapshot: the table in the order of asked_at, as it is at begin_export(), whatever is
  // kept, refreshed and forgotten meanwhile. export_next() writes the next one's byte form; false
  // if there is none. The caller counts.
  void begin_export();
  bool export_next(ByteWriter& w);
  void end_export();

  // As of Store; `max` is lowered by what was freed.
  bool sweep(std::size_t& max);
  void retire();

 private:
  // Numbered in the order of asked_at. The numbers are this server's own, their order is
  // everybody's.
  using ByNumber = std::map<std::uint64_t, KeptResult>;

  static bool is_over(const KeptResult& kept, LogTime now) {
    return now.value - kept.asked_at.value >= kIdempotencyKeyKept.ns + kMostUndecided.ns;
  }
  void forget_some(LogTime now);
  void remove(ByNumber::iterator at);
  bool is_to_be_exported(std::uint64_t number) const {
    return number >= export_at_ && number < export_end_;
  }

  std::size_t most_;
  ByNumber kept_;
  std::map<std::string_view, ByNumber::iterator> by_key_;  // the keys' bytes are those in kept_
  std::uint64_t next_number_ = 1;
  Id128 sum_;

  // Of the export in progress: numbers in [export_at_, export_end_) have not been given out. A
  // result that is forgotten or refreshed before its turn is kept as it was in images_.
  std::uint64_t export_at_ = 0, export_end_ = 0;
  ByNumber images_;
  ByNumber dead_;         // images of an export that ended early
  bool retired_ = false;  // all of it is to be freed
};

// The byte form in a snapshot, over which the digest goes, too. Little-endian:
//
//   u8 length, key   u64 fingerprint.high   u64 fingerprint.low   i64 asked_at   u8 kind
//   u64 revision   u64 create_revision   u64 version   u64 current_revision
void write_kept(ByteWriter& w, const KeptResult& kept);
// Checks everything that can be checked in one result alone. With bytes missing, r.ok() is false
// and the result means nothing.
Result<KeptResult> read_kept(ByteReader& r);

}  // namespace vesper::kv
