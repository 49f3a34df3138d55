#include <doctest/doctest.h>

#include <cmath>

#include "app/metrics_text.hpp"

using namespace vesper::app;

namespace {

constexpr std::string_view kBefore = R"(# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="kv",status="200"} 10
requests_total{route="status",status="200"} 5
seconds_bucket{route="kv",le="0.1"} 4
seconds_bucket{route="kv",le="0.2"} 4
seconds_bucket{route="kv",le="+Inf"} 4
)";
constexpr std::string_view kAfter = R"(requests_total{route="kv",status="200"} 30
requests_total{route="status",status="200"} 105
seconds_bucket{route="kv",le="0.1"} 4
seconds_bucket{route="kv",le="0.2"} 14
seconds_bucket{route="kv",le="+Inf"} 14
up 1
)";

bool is_kv(const MetricsText::Sample& sample) {
  return sample.label("route") == "kv";
}

}  // namespace

TEST_CASE("the samples of a family have labels and values") {
  const MetricsText metrics("a{x=\"1,\\\"2\\\"\",y=\"}\"} 3.5\nb 7\n");
  REQUIRE(metrics.family("a").size() == 1);
  CHECK(metrics.family("a")[0].label("x") == "1,\"2\"");
  CHECK(metrics.family("a")[0].label("y") == "}");
  CHECK(metrics.family("a")[0].label("z").empty());
  CHECK(metrics.sum("a") == 3.5);
  CHECK(metrics.sum("b") == 7);
  CHECK(std::isnan(metrics.sum("c")));
}

TEST_CASE("lines that are no samples are skipped") {
  const MetricsText metrics("# a 1\n\na\na{x=\"1 2\na{x=\"1\"}} 3\na one\na +Inf\na{x=\"1\" 4\n");
  REQUIRE(metrics.family("a").size() == 1);
  CHECK(std::isinf(metrics.sum("a")));
}

TEST_CASE("a counter's gain is that of the samples that fit, and unknown after a restart") {
  const MetricsText before(kBefore), after(kAfter);
  CHECK(gained(before, after, "requests_total") == 120);
  CHECK(gained(before, after, "requests_total", is_kv) == 20);
  CHECK(gained(before, after, "up") == 1);
  CHECK(std::isnan(gained(after, before, "requests_total")));
  CHECK(std::isnan(gained(before, after, "missing")));
}

TEST_CASE("a quantile is interpolated within the bucket of what came between two readings") {
  const MetricsText before(kBefore), after(kAfter);
  CHECK(quantile(0.5, before, after, "seconds", is_kv) == doctest::Approx(0.15));
  CHECK(quantile(1, before, after, "seconds") == doctest::Approx(0.2));
  CHECK(std::isnan(quantile(0.5, after, after, "seconds")));
  CHECK(std::isnan(quantile(0.5, before, after, "missing")));
  const MetricsText slow("seconds_bucket{le=\"0.1\"} 0\nseconds_bucket{le=\"+Inf\"} 3\n");
  CHECK(quantile(0.5, MetricsText(), slow, "seconds") == doctest::Approx(0.1));
}
