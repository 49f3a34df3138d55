#include "kv/time_index.hpp"

#include <algorithm>
#include <string>

#include "base/checksum.hpp"
#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

// Must never change: nodes of different versions compare their digests.
constexpr std::uint64_t kSampleSeed = 0x5ac93e0f87d21b64;

Id128 digest_of(const TimeIndex::Sample& sample) {
  std::string form;
  ByteWriter w(form);
  w.i64(sample.time.value);
  w.u64(sample.revision);
  return checksum128(form, kSampleSeed);
}

}  // namespace

std::optional<std::uint64_t> TimeIndex::revision_at(LogTime time) const {
  const auto after =
      std::upper_bound(samples_.begin(), samples_.end(), time,
                       [](LogTime t, const Sample& sample) { return t < sample.time; });
  if (after == samples_.begin()) return std::nullopt;
  return std::prev(after)->revision;
}

void TimeIndex::forget_below(std::uint64_t revision) {
  while (!samples_.empty() && samples_.front().revision < revision) {
    if (samples_.size() > 1) older_ = minus(older_, digest_of(samples_.front()));
    samples_.pop_front();
  }
  while (spacing_ > kFirstSpacing && samples_.size() < kMaxSamples / 4)
    spacing_ = Duration{spacing_.ns / 2};
}

Id128 TimeIndex::recomputed_digest_of_older() const {
  Id128 sum;
  for (std::size_t i = 0; i + 1 < samples_.size(); ++i) sum = plus(sum, digest_of(samples_[i]));
  return sum;
}

void TimeIndex::write_newest(ByteWriter& w) const {
  w.i64(spacing_.ns);
  w.i64(samples_.empty() ? 0 : samples_.back().time.value);
  w.u64(samples_.empty() ? 0 : samples_.back().revision);
}

void TimeIndex::push(Sample sample) {
  if (!samples_.empty()) older_ = plus(older_, digest_of(samples_.back()));
  samples_.push_back(sample);
  if (samples_.size() > kMaxSamples) thin_out();
}

// Drops every second sample, but neither the first nor the newest.
void TimeIndex::thin_out() {
  std::deque<Sample> kept;
  for (std::size_t i = 0; i < samples_.size(); i += 2) kept.push_back(samples_[i]);
  samples_ = std::move(kept);
  spacing_ = Duration{spacing_.ns * 2};
  older_ = recomputed_digest_of_older();
}

bool TimeIndex::restore(std::deque<Sample> samples, Duration spacing) {
  if (samples.size() > kMaxSamples || spacing < kFirstSpacing ||
      spacing > Duration{kFirstSpacing.ns << 32})
    return false;
  for (std::size_t i = 1; i < samples.size(); ++i)
    if (samples[i].time <= samples[i - 1].time || samples[i].revision <= samples[i - 1].revision)
      return false;
  samples_ = std::move(samples);
  spacing_ = spacing;
  older_ = recomputed_digest_of_older();
  return true;
}

}  // namespace vesper::kv
