// Reads the text of GET /metrics (the Prometheus text format), and computes rates and quantiles
// between two readings.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vesper::app {

class MetricsText {
 public:
  struct Sample {
    std::map<std::string, std::string, std::less<>> labels;
    double value = 0;

    std::string_view label(std::string_view name) const;  // empty: there is none
  };
  using Fits = std::function<bool(const Sample&)>;

  MetricsText() = default;
  // Skips lines that are not samples.
  explicit MetricsText(std::string_view text);

  // The samples of a family; empty if there are none.
  const std::vector<Sample>& family(std::string_view name) const;
  // The sum of the samples that `fits` accepts, all of them without it. NaN if the family has none.
  double sum(std::string_view name, const Fits& fits = {}) const;

 private:
  std::map<std::string, std::vector<Sample>, std::less<>> families_;
};

// What a counter gained between two readings. NaN if the process was restarted in between, or if
// the counter is missing.
double gained(const MetricsText& before, const MetricsText& after, std::string_view name,
              const MetricsText::Fits& fits = {});

// The q-quantile (0 to 1) of what the histogram `name` observed between two readings, interpolated
// within its bucket; in the last bucket, which has no bound, the bound before it. NaN if nothing
// was observed.
double quantile(double q, const MetricsText& before, const MetricsText& after,
                std::string_view name, const MetricsText::Fits& fits = {});

}  // namespace vesper::app
