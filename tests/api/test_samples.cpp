// GET /figures: the samples, how long they are kept, and what the reply holds.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "api/recent_figures.hpp"
#include "api/samples.hpp"
#include "ask.hpp"

namespace test_samples {

using namespace vesper;
using namespace vesper::api;

namespace {

std::vector<Sample> since(const Samples& samples, std::int64_t ms) {
  std::vector<Sample> all;
  samples.each_since(ms, [&](const Sample& sample) { all.push_back(sample); });
  return all;
}

Instant at(std::int64_t s) {
  return Instant{} + seconds(s);
}

}  // namespace

TEST_CASE("a sample holds what happened since the one before, and the sizes at its end") {
  Samples samples;
  Totals totals;
  totals.reads = 100;  // before the first sample
  for (int i = 0; i < 50; ++i) totals.requests.observe(seconds(1));
  samples.take(at(10), totals, {.store = 1});
  CHECK(since(samples, -1).empty());
  CHECK(samples.due() == at(12));
  totals.reads += 7;
  totals.entries_applied += 3;
  totals.leader_changes += 2;
  totals.elections += 1;
  for (int i = 0; i < 98; ++i) totals.requests.observe(microseconds(200));
  for (int i = 0; i < 2; ++i) totals.requests.observe(milliseconds(20));
  samples.take(at(13), totals, {.store = 5, .history = 6, .log = 7, .log_files = 8, .snapshot = 9});
  CHECK(samples.due() == at(15));
  REQUIRE(since(samples, -1).size() == 1);
  const Sample sample = since(samples, -1)[0];
  CHECK(sample.at_ms == 13'000);
  CHECK(sample.covers_ms == 3'000);
  CHECK(sample.requests == 100);
  CHECK(sample.reads == 7);
  CHECK(sample.entries_applied == 3);
  CHECK(sample.leader_changes == 2);
  CHECK(sample.elections == 1);
  CHECK(sample.sizes.store == 5);
  CHECK(sample.sizes.snapshot == 9);
  REQUIRE(sample.latency);
  CHECK(sample.latency->p50_us == 177);     // 50 of 98 from 100 to 250 microseconds
  CHECK(sample.latency->p99_us == 17'500);  // half of those from 10 to 25 milliseconds
  CHECK(!sample.fsync);
}

TEST_CASE("quantiles are missing if nothing was observed, and end at the last bound") {
  Samples samples;
  Totals totals;
  samples.take(at(1), totals, {});
  totals.fsync.observe(seconds(60));
  samples.take(at(3), totals, {});
  samples.take(at(5), totals, {});
  const auto all = since(samples, -1);
  REQUIRE(all.size() == 2);
  REQUIRE(all[0].fsync);
  CHECK(all[0].fsync->p50_us == 10'000'000);
  CHECK(all[0].fsync->p99_us == 10'000'000);
  CHECK(!all[0].latency);
  CHECK(!all[1].fsync);
}

TEST_CASE("the samples of 15 minutes are kept, in order, in less than 64 KiB") {
  static_assert(Samples::kMax * sizeof(Sample) < 64 << 10);
  CHECK(Samples::kEvery * Samples::kMax == seconds(15 * 60));
  Samples samples;
  Totals totals;
  for (int i = 0; i <= 1'000; ++i) {
    totals.reads += static_cast<std::uint64_t>(i);
    samples.take(at(2 * i), totals, {});
  }
  const auto all = since(samples, -1);
  REQUIRE(all.size() == Samples::kMax);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].at_ms == static_cast<std::int64_t>(2'000 * (551 + i)));
    CHECK(all[i].reads == 551 + i);
  }
  CHECK(since(samples, 1'997'000).size() == 2);
  CHECK(since(samples, 1'998'000).size() == 1);
  CHECK(since(samples, 2'000'000).empty());
}

TEST_CASE("the reply has what is newer than ?since, or everything if that is yet to come") {
  const NoFigures figures;
  Context context(settings(), figures, at(100));
  Totals totals;
  for (const int s : {100, 102, 104}) {
    context.samples.take(at(s), totals, {});
    totals.requests.observe(milliseconds(1));
  }
  context.set_now(at(105));
  const auto reply = [&](std::int64_t since_ms) {
    HttpExchange exchange;
    exchange.request = RecentFiguresRequest{since_ms};
    Answer answer;
    render_recent_figures(context, exchange, answer);
    return answer.body;
  };
  const std::string begin = R"({"at_ms":105000,"every_ms":2000,"samples":[)";
  const auto row = [](int ms) {
    return R"({"at_ms":)" + std::to_string(ms) +
           R"(,"covers_ms":2000,"requests":1,"reads":0,"entries_applied":0,"leader_changes":0,)"
           R"("elections":0,"p50_us":750,"p99_us":995,"store_bytes":0,"history_bytes":0,)"
           R"("log_bytes":0,"log_file_bytes":0,"snapshot_bytes":0})";
  };
  const std::string everything = begin + row(102'000) + "," + row(104'000) + "]}\n";
  CHECK(reply(-1) == everything);
  CHECK(reply(102'000) == begin + row(104'000) + "]}\n");
  CHECK(reply(105'000) == begin + "]}\n");
  CHECK(reply(105'001) == everything);
}

TEST_CASE("/figures takes a sample's time, and needs no node") {
  CHECK(ask("GET /figures").answer.body == R"({"at_ms":0,"every_ms":2000,"samples":[]})"
                                           "\n");
  CHECK(ask("GET /figures?since=0").answer.status == 200);
  CHECK(ask("GET /figures?since=9007199254740991").answer.status == 200);
  for (const char* value : {"", "-1", "1.5", "9007199254740992", "1s"})
    check_refused("GET /figures?since=" + std::string(value), "since");
  check_refused("GET /figures?from=1", "from");
  CHECK(says(ask("POST /figures"), 405, "method_not_allowed"));
}

}  // namespace test_samples
