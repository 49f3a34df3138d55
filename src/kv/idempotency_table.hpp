// The idempotency table. It keeps the result of each write with an idempotency key, so that a retry
// gets the same answer and is not applied twice (thesis 6.3, K1). It is part of the replicated
// state: its content, and when a result is forgotten, follow from the log and its stamps alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "kv/command.hpp"
#include "kv/item.hpp"
#include "kv/log_time.hpp"
#include "kv/write_result.hpp"

namespace vesper::kv {

// These must stay equal on all servers in every version, because they decide the outcome of a
// write.
inline constexpr std::size_t kMaxIdempotencyKeys = 100'000;    // more keys are refused; see Store
inline constexpr Duration kIdempotencyKeyKept = seconds(600);  // of log time, after the decision
inline constexpr Duration kMostUndecided = seconds(1);  // from an entry's stamp to its decision
// The sum of KeptResult::cost(). While it leaves no room for the largest result, new keys are
// refused.
inline constexpr std::size_t kMaxIdempotencyBytes = 64u << 20;
// An upper bound that keeps each apply short.
inline constexpr std::size_t kForgottenPerCommand = 4;

struct KeptResult {
  std::string idempotency_key;
  Id128 fingerprint;
  // The stamp of the last command that got this result. Each such command restarts the time for
  // which the result is kept.
  LogTime asked_at;
  SharedBytes result;  // in the form of encode_result()

  // What the result counts for in the table's bytes.
  std::size_t cost() const { return kFixedCost + idempotency_key.size() + result.size(); }
  static constexpr std::size_t kFixedCost = 160;
};

class IdempotencyTable {
 public:
  explicit IdempotencyTable(std::size_t most) : most_(most) {}

  std::size_t size() const { return kept_.size(); }
  std::size_t most() const { return most_; }
  std::size_t bytes() const { return bytes_; }  // the sum of KeptResult::cost()
  bool full() const {
    return size() >= most_ || bytes_ > kMaxIdempotencyBytes - KeptResult::kFixedCost -
                                           kMaxIdempotencyKey - kMaxKeptReply;
  }

  // Whether there is room for this result. Always, if !full().
  bool fits(const KeptResult& kept) const {
    return size() < most_ && bytes_ + kept.cost() <= kMaxIdempotencyBytes;
  }

  // Forgets a few expired results. Called with every command, before find(), so that there is room
  // for one more unless every result still has time left (K2). A command adds at most one result,
  // so results are forgotten faster than they arrive.
  void forget(LogTime now) {
    if (!kept_.empty() && is_over(kept_.begin()->second, now)) forget_some(now);
  }
  // Null if the key is new, or if its result has expired. Valid until the next change.
  const KeptResult* find(std::string_view idempotency_key, LogTime now) const;
  // Returns false, and keeps nothing, if find() finds the key at `kept.asked_at`. Requires that it
  // fits.
  bool keep(KeptResult kept);
  // Restarts the time of a result that was requested again at `now`. Requires that find() finds the
  // key.
  void refresh(std::string_view idempotency_key, LogTime now);
  // Replaces the small result of a request that has only now been decided. Does nothing
  // if find() does not find the key.
  void replace(std::string_view idempotency_key, std::string_view result, LogTime now);

  // digest() is the sum of the results' digests. recomputed_digest() computes it from scratch, for
  // tests.
  Id128 digest() const { return sum_; }
  Id128 recomputed_digest() const;

  // Exports the table for a snapshot in the order of asked_at, as it is at begin_export(), even if
  // results are kept, refreshed or forgotten meanwhile. export_next() writes the byte form of the
  // next result, and returns false if there is none. The caller counts the results.
  void begin_export();
  bool export_next(ByteWriter& w);
  void end_export();

  // As in Store. sweep() lowers `max` by the number of results that it freed.
  bool sweep(std::size_t& max);
  void retire();

 private:
  // Numbered in the order of asked_at. The numbers are local to this server; their order is the
  // same on every server.
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
  std::size_t bytes_ = 0;
  ByNumber kept_;
  std::map<std::string_view, ByNumber::iterator> by_key_;  // the keys point into kept_
  std::uint64_t next_number_ = 1;
  Id128 sum_;

  // The export in progress: results numbered in [export_at_, export_end_) have not been exported.
  // If a result is forgotten or refreshed before its turn, images_ keeps its old state.
  std::uint64_t export_at_ = 0, export_end_ = 0;
  ByNumber images_;
  ByNumber dead_;         // images of an export that ended early
  bool retired_ = false;  // the whole table is to be freed
};

// The byte form of a result in a snapshot. The digest is computed over the same bytes.
// Little-endian:
//
//   u8 length, key   u64 fingerprint.high   u64 fingerprint.low   i64 asked_at
//   u32 length, result (see encode_result)
void write_kept(ByteWriter& w, const KeptResult& kept);
// Checks everything that can be checked in a single result. If bytes are missing, r.ok() is false
// and the result is meaningless.
Result<KeptResult> read_kept(ByteReader& r);

}  // namespace vesper::kv
