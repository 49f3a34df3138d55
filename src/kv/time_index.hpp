// When the store reached which revision, in log time. It lets the leader turn "keep ten minutes of
// history" into a revision to compact to. Part of the replicated state: it follows from the log
// alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "kv/log_time.hpp"

namespace vesper::kv {

class TimeIndex {
 public:
  struct Sample {
    LogTime time;
    std::uint64_t revision = 0;  // of the store at `time`
    bool operator==(const Sample&) const = default;
  };
  // More samples than this are thinned out: the distance between them doubles.
  static constexpr std::size_t kMaxSamples = 1024;
  static constexpr Duration kFirstSpacing = seconds(1);

  // The store has reached `revision` at `now`. Neither may fall. The newest sample is always that
  // of the last call, so that all of the history of an idle store has a known age. It moves on
  // until it is far enough from the one before it.
  void add(LogTime now, std::uint64_t revision) {
    const std::size_t size = samples_.size();
    if (size > 0 && now <= samples_.back().time) samples_.back().revision = revision;
    else if (size > 1 && now.value - samples_[size - 2].time.value < spacing_.ns)
      samples_.back() = {now, revision};
    else push({now, revision});
  }
  // The newest known revision that the store had reached at `time`; nothing if it is not known.
  // Every event after `time` has a revision above it.
  std::optional<std::uint64_t> revision_at(LogTime time) const;
  // Forgets samples below `revision`, which are compacted.
  void forget_below(std::uint64_t revision);

  // What the digest of the store covers: the sum of the digests of all samples except the newest,
  // and the byte form of that one and of the spacing.
  Id128 digest_of_older() const { return older_; }
  Id128 recomputed_digest_of_older() const;
  void write_newest(ByteWriter& w) const;

  // For snapshots.
  const std::deque<Sample>& samples() const { return samples_; }
  Duration spacing() const { return spacing_; }
  // False if the samples are out of order or too many, or the spacing is out of range.
  bool restore(std::deque<Sample> samples, Duration spacing);

 private:
  void push(Sample sample);
  void thin_out();

  std::deque<Sample> samples_;
  Id128 older_;  // see digest_of_older()
  Duration spacing_ = kFirstSpacing;
};

}  // namespace vesper::kv
