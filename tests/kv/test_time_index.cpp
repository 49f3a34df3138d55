#include <doctest/doctest.h>

#include "base/prng.hpp"
#include "kv/time_index.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

constexpr LogTime at_ms(std::int64_t ms) {
  return LogTime(ms * 1'000'000);
}

}  // namespace

TEST_CASE("the newest write is known exactly, older ones within the spacing") {
  TimeIndex times;
  CHECK_FALSE(times.revision_at(at_ms(5)).has_value());
  for (std::int64_t i = 0; i < 10'000; ++i) times.add(at_ms(i), static_cast<std::uint64_t>(i + 2));
  CHECK(times.samples().size() <= 12);
  CHECK(times.revision_at(at_ms(9'999)) == 10'001);
  CHECK(times.revision_at(at_ms(1'000'000)) == 10'001);
  for (std::int64_t i = 0; i < 10'000; i += 37) {
    const auto revision = times.revision_at(at_ms(i));
    REQUIRE(revision.has_value());
    CHECK(*revision <= static_cast<std::uint64_t>(i + 2));
    CHECK(*revision + 2000 >= static_cast<std::uint64_t>(i + 2));
  }
}

TEST_CASE("the samples are bounded, and the first and the newest one stay") {
  TimeIndex times;
  for (std::int64_t i = 0; i < 100'000; ++i)
    times.add(at_ms(i * 1500), static_cast<std::uint64_t>(i + 2));
  CHECK(times.samples().size() <= TimeIndex::kMaxSamples);
  CHECK(times.samples().size() >= TimeIndex::kMaxSamples / 4);
  CHECK(times.samples().front().revision == 2);
  CHECK(times.samples().back().revision == 100'001);
  CHECK(times.digest_of_older() == times.recomputed_digest_of_older());
  times.forget_below(90'000);
  CHECK(times.samples().front().revision >= 90'000);
  CHECK(times.digest_of_older() == times.recomputed_digest_of_older());
  times.forget_below(1'000'000);
  CHECK(times.samples().empty());
  CHECK(times.spacing() == TimeIndex::kFirstSpacing);
  CHECK(times.digest_of_older() == Id128{});
}

TEST_CASE("equal times keep one sample, and a restored index goes on like the original") {
  Prng random(3);
  TimeIndex times;
  std::int64_t now = 0;
  std::uint64_t revision = 1;
  const auto add = [&](TimeIndex& index) { index.add(at_ms(now), revision); };
  for (int i = 0; i < 5000; ++i) {
    now += random.between(0, 2) == 0 ? random.between(0, 1500) : 0;
    ++revision;
    add(times);
    if (i % 1000 == 500) times.forget_below(revision / 2);
  }
  TimeIndex copy;
  REQUIRE(copy.restore(times.samples(), times.spacing()));
  CHECK(copy.digest_of_older() == times.digest_of_older());
  for (int i = 0; i < 3000; ++i) {
    now += random.between(0, 700);
    ++revision;
    add(times);
    add(copy);
  }
  CHECK(copy.samples() == times.samples());
  CHECK(copy.digest_of_older() == times.recomputed_digest_of_older());
}
