// What `vesper top` shows, as lines of styled text. Pure: the same readings give the same lines.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "app/cluster_survey.hpp"
#include "app/metrics_text.hpp"
#include "app/terminal.hpp"
#include "app/trace_news.hpp"
#include "base/time.hpp"
#include "json/document.hpp"

namespace vesper::app {

// One look at the cluster.
struct TopReading {
  Instant at;
  ClusterSurvey survey;
  std::vector<MetricsText> metrics;  // of each of survey.nodes(); empty: it gave none
  json::Document members;            // GET /cluster, of the leader if there is one
};

struct Span {
  std::string text;  // safe to print, one column a byte
  Style style = Style::plain;
};
using Line = std::vector<Span>;

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// What there is to show. Pointers may be null.
struct TopFacts {
  const TopReading* before;  // rates and latencies are those between the two; null: they are "-"
  const TopReading& reading;
  const TraceNews* news;
  Instant now;
};

// The lines, at most `size.rows`, none wider than `size.columns`. The table leaves out its less
// important columns if they do not fit.
std::vector<Line> top_lines(const TopFacts& facts, ScreenSize size);

// As text with newlines, with colours if `colours` says so.
enum class LineColours : std::uint8_t { no, yes };
std::string to_text(const std::vector<Line>& lines, LineColours colours);

}  // namespace vesper::app
