#include "app/metrics_text.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "api/quantile.hpp"

namespace vesper::app {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

std::optional<double> number_of(std::string_view text) {
  if (text == "+Inf") return kUnbounded;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Reads one label and the comma after it: name="value". Nothing if `text` does not begin with one.
std::optional<std::pair<std::string, std::string>> take_label(std::string_view& text) {
  const std::size_t equals = text.find("=\"");
  if (equals == std::string_view::npos) return std::nullopt;
  std::pair<std::string, std::string> label{std::string(text.substr(0, equals)), {}};
  std::size_t at = equals + 2;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) ++at;
    label.second += text[at];
  }
  if (at == text.size()) return std::nullopt;
  text.remove_prefix(at + 1);
  if (text.starts_with(',')) text.remove_prefix(1);
  return label;
}

// The counts of a histogram by upper bound, summed over its other labels.
std::map<double, double> buckets_of(const MetricsText& metrics, std::string_view name,
                                    const MetricsText::Fits& fits) {
  std::map<double, double> counts;
  for (const auto& sample : metrics.family(std::string(name) + "_bucket"))
    if (const auto bound = number_of(sample.label("le")); bound && (!fits || fits(sample)))
      counts[*bound] += sample.value;
  return counts;
}

}  // namespace

std::string_view MetricsText::Sample::label(std::string_view name) const {
  const auto at = labels.find(name);
  return at == labels.end() ? std::string_view() : at->second;
}

MetricsText::MetricsText(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('#')) continue;
    const std::size_t space = line.rfind(' ');
    if (space == std::string_view::npos) continue;
    const auto value = number_of(line.substr(space + 1));
    std::string_view name = line.substr(0, space);
    Sample sample{{}, value.value_or(0)};
    if (const std::size_t brace = name.find('{'); brace != std::string_view::npos) {
      std::string_view labels = name.substr(brace + 1);
      while (auto label = take_label(labels)) sample.labels.insert(std::move(*label));
      if (labels != "}") continue;
      name = name.substr(0, brace);
    }
    if (value) families_[std::string(name)].push_back(std::move(sample));
  }
}

const std::vector<MetricsText::Sample>& MetricsText::family(std::string_view name) const {
  static const std::vector<Sample> none;
  const auto at = families_.find(name);
  return at == families_.end() ? none : at->second;
}

double MetricsText::sum(std::string_view name, const Fits& fits) const {
  const auto& samples = family(name);
  if (samples.empty()) return kNone;
  double total = 0;
  for (const Sample& sample : samples)
    if (!fits || fits(sample)) total += sample.value;
  return total;
}

double gained(const MetricsText& before, const MetricsText& after, std::string_view name,
              const MetricsText::Fits& fits) {
  const double earlier = before.sum(name, fits);
  const double gain = after.sum(name, fits) - (std::isnan(earlier) ? 0 : earlier);
  return gain < 0 ? kNone : gain;
}

double quantile(double q, const MetricsText& before, const MetricsText& after,
                std::string_view name, const MetricsText::Fits& fits) {
  const std::map<double, double> earlier = buckets_of(before, name, fits);
  std::map<double, double> gains = buckets_of(after, name, fits);
  for (const auto& [bound, count] : earlier) gains[bound] -= count;
  std::vector<api::Bucket> buckets;
  for (const auto& [bound, count] : gains) buckets.push_back({bound, count});
  return api::quantile(q, buckets).value_or(kNone);
}

}  // namespace vesper::app
