// How many lines refused requests write to the audit log. What the lines say is tested over a
// server (tests/server/test_auth.py).
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "api/refusal_counts.hpp"

namespace test_audit {

using vesper::api::RefusalCounts;

namespace {

RefusalCounts::Kind kind(std::string address, std::string token = {}) {
  return {std::move(address), std::move(token), 401, "unauthorized"};
}

// What end_window() reports, in its order; "others" stands for the kinds beyond the bound.
std::vector<std::pair<std::string, std::uint64_t>> end(RefusalCounts& counts) {
  std::vector<std::pair<std::string, std::uint64_t>> reported;
  counts.end_window([&](const RefusalCounts::Kind* one, std::uint64_t count) {
    reported.emplace_back(one == nullptr ? "others" : one->address + one->token, count);
  });
  return reported;
}

}  // namespace

TEST_CASE(
    "the first refusals of a kind have their own lines in each window, the others share one") {
  RefusalCounts counts;
  CHECK(counts.is_empty());
  for (int window = 0; window < 2; ++window) {
    for (std::uint64_t i = 0; i < RefusalCounts::kOwnLines; ++i) CHECK(counts.take(kind("a")));
    CHECK(counts.take(kind("a", "app")));
    CHECK(!counts.take(kind("a")));
    CHECK(counts.take(kind("b")));
    CHECK(!counts.take(kind("a")));
    CHECK(!counts.is_empty());
    CHECK(end(counts) == std::vector<std::pair<std::string, std::uint64_t>>{{"a", 2}});
    CHECK(counts.is_empty());
    CHECK(end(counts).empty());
  }
}

TEST_CASE("a window has a bounded number of lines, however many addresses refusals come from") {
  RefusalCounts counts;
  std::size_t own = 0;
  for (int round = 0; round < 10; ++round)
    for (int i = 0; i < 1000; ++i) own += counts.take(kind(std::to_string(i))) ? 1u : 0u;
  CHECK(own == RefusalCounts::kMaxKinds * RefusalCounts::kOwnLines);
  const auto reported = end(counts);
  CHECK(reported.size() == RefusalCounts::kMaxKinds + 1);
  std::uint64_t sum = 0;
  for (const auto& [who, count] : reported) sum += count;
  CHECK(own + sum == 10000);
}

}  // namespace test_audit
