#include "app/top_view.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "api/endpoint.hpp"
#include "app/progress.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
// The alarms of the page (docs/http-api.md, /ui/) with the same bounds.
constexpr double kSlowFsync = 0.1;        // seconds, the p99 between two readings
constexpr std::uint64_t kLongLag = 1000;  // committed entries that are not applied
constexpr double kNear = 0.8;             // of a bound
constexpr std::uint64_t kDays = 30;       // that a certificate is valid at least
constexpr std::size_t kMaxAlarms = 6;
constexpr std::string_view kGap = "  ";

bool is_load(const MetricsText::Sample& sample) {
  return api::is_load(sample.label("route"));
}

// Three significant digits.
std::string significant(double value) {
  if (value >= 99.95) return fmt::format("{:.0f}", value);
  return value >= 9.995 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds < 1e-3) return significant(seconds * 1e6) + "us";
  return seconds < 1 ? significant(seconds * 1e3) + "ms" : significant(seconds) + "s";
}

std::string size_text(double bytes) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (!std::isfinite(bytes)) return "-";
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f}B", bytes) : significant(bytes) + std::string(kUnits[unit]);
}

std::string count_text(double count) {
  if (!std::isfinite(count)) return "-";
  return with_separators(static_cast<std::uint64_t>(count + 0.5));
}

std::string plural(std::uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", with_separators(count), one, count == 1 ? "" : "s");
}

// What one node did between two readings.
struct Pace {
  double requests = kUnknown;                               // a second
  double applied = kUnknown;                                // entries a second
  double p50 = kUnknown, p99 = kUnknown, fsync = kUnknown;  // seconds
};

class TopView {
 public:
  TopView(const TopFacts& facts, ScreenSize size)
      : facts_(facts),
        before_(facts.before),
        now_(facts.reading),
        size_(size),
        leader_(now_.survey.leader()) {
    for (std::size_t i = 0; i < nodes().size(); ++i) paces_.push_back(pace_of(i));
  }

  std::vector<Line> lines() {
    add_summary();
    add_alarms();
    add_table();
    if (facts_.news != nullptr && facts_.news->is_live()) add_news();
    if (lines_.size() > size_.rows) lines_.resize(size_.rows);
    for (Line& line : lines_) cut(line);
    return std::move(lines_);
  }

 private:
  const ClusterSurvey::Nodes& nodes() const { return now_.survey.nodes(); }

  // The reading before this one of the node at the same address, unless it was restarted.
  const MetricsText* metrics_before(const HostPort& server) const {
    if (before_ == nullptr) return nullptr;
    const auto& all = before_->survey.nodes();
    for (std::size_t i = 0; i < all.size(); ++i)
      if (all[i]->server == server && all[i]->reachable) return &before_->metrics[i];
    return nullptr;
  }

  Pace pace_of(std::size_t i) const {
    Pace pace;
    const MetricsText* before = metrics_before(nodes()[i]->server);
    if (before == nullptr || !nodes()[i]->reachable) return pace;
    const MetricsText& now = now_.metrics[i];
    const double seconds = std::max(1e-3, static_cast<double>((now_.at - before_->at).ns) / 1e9);
    pace.requests = gained(*before, now, "vesper_requests_total", is_load) / seconds;
    pace.applied = gained(*before, now, "vesper_entries_applied_total") / seconds;
    pace.p50 = quantile(0.5, *before, now, "vesper_request_seconds", is_load);
    pace.p99 = quantile(0.99, *before, now, "vesper_request_seconds", is_load);
    pace.fsync = quantile(0.99, *before, now, "vesper_fsync_seconds");
    return pace;
  }

  // The node that leads, or else the first that answered.
  const SurveyedNode* teller() const {
    if (leader_ != nullptr) return leader_;
    for (const auto& node : nodes())
      if (node->reachable) return node.get();
    return nullptr;
  }

  void add_summary() {
    const SurveyedNode* node = teller();
    if (node == nullptr) {
      lines_.push_back({{"vesper top", Style::bold}, {"   no node answers", Style::red}});
      lines_.push_back({});
      return;
    }
    Line title{{"vesper top", Style::bold}};
    title.push_back({fmt::format("   cluster {}   term {}   ",
                                 node->cluster.empty() ? "-" : escaped(node->cluster).substr(0, 12),
                                 node->number("term"))});
    if (leader_ != nullptr)
      title.push_back({fmt::format("leader {}", node->number("id")), Style::green});
    else title.push_back({"no leader", Style::red});
    title.push_back({fmt::format("   revision {}", with_separators(node->number("revision")))});
    lines_.push_back(std::move(title));
    lines_.push_back({{members_text(*node)}});
    const auto within = [&](std::string_view object, std::string_view name) {
      return static_cast<double>(node->member(object).find(name).uint64().value_or(0));
    };
    lines_.push_back({{fmt::format(
        "keys {}   store {} of {}   history {}   leases {}   locks {}   watches {}",
        with_separators(node->number("keys")), size_text(within("quota", "used_bytes")),
        size_text(within("quota", "bytes")), size_text(within("history", "bytes")),
        with_separators(node->number("leases")), with_separators(node->number("locks")),
        with_separators(total_watchers()))}});
    lines_.push_back({{load_text()}});
    lines_.push_back({});
  }

  std::uint64_t total_watchers() const {
    std::uint64_t watchers = 0;
    for (const auto& node : nodes()) watchers += node->number("watchers");
    return watchers;
  }

  std::string members_text(const SurveyedNode& node) const {
    std::uint64_t voters = 0, learners = 0;
    for (const auto& member : node.member("members"))
      ++(member.value.find("voter").boolean().value_or(false) ? voters : learners);
    const json::Value configuration = now_.members.root().find("configuration");
    const bool is_joint = configuration.find("joint").boolean().value_or(false);
    std::string text = plural(voters, "voter") + ", a write needs ";
    text += is_joint ? "both majorities" : std::to_string(voters / 2 + 1);
    if (learners > 0) text += "   " + plural(learners, "learner");
    if (const auto index = configuration.find("index").uint64())
      text += fmt::format("   configuration {}{}", *index, is_joint ? " (joint)" : "");
    return text;
  }

  // The sum of all nodes; of latencies, those of the slowest node.
  std::string load_text() const {
    double requests = kUnknown, p50 = kUnknown, p99 = kUnknown, applied = kUnknown;
    for (const Pace& pace : paces_) {
      if (std::isfinite(pace.requests))
        requests = (std::isfinite(requests) ? requests : 0) + pace.requests;
      p50 = std::fmax(p50, pace.p50);
      p99 = std::fmax(p99, pace.p99);
      applied = std::fmax(applied, pace.applied);
    }
    return fmt::format("load {} requests/s   p50 {}   p99 {}   {} entries/s", count_text(requests),
                       duration_text(p50), duration_text(p99), count_text(applied));
  }

  void alarm(Style style, std::string text) {
    if (alarms_ < kMaxAlarms) lines_.push_back({{"! " + std::move(text), style}});
    ++alarms_;
  }

  void add_alarms() {
    if (leader_ == nullptr && teller() != nullptr)
      alarm(Style::red,
            "no leader, so no quorum: start the nodes that are down, or repair the network");
    // Every node that has heard of it says so.
    if (const SurveyedNode* node = teller())
      for (const auto& member : node->member("members"))
        if (member.value.find("regressed").boolean().value_or(false))
          alarm(Style::red, fmt::format("node {}: its disk went back in time: leave it running",
                                        member.value.find("id").uint64().value_or(0)));
    for (std::size_t i = 0; i < nodes().size(); ++i) add_alarms_of(*nodes()[i], paces_[i]);
    if (alarms_ > kMaxAlarms)
      lines_.push_back({{fmt::format("! and {} more", alarms_ - kMaxAlarms), Style::yellow}});
    if (alarms_ > 0) lines_.push_back({});
  }

  void add_alarms_of(const SurveyedNode& node, const Pace& pace) {
    const std::string name = node.id ? fmt::format("node {}", *node.id) : node.server.url();
    if (!node.reachable)
      return alarm(Style::red, name + " does not answer: " + escaped(node.detail));
    if (node.member("diverged").exists())
      alarm(Style::red, name + ": its state has diverged: start it with --discard-state");
    if (node.member("cluster_seen").exists())
      alarm(Style::red, name + ": nodes of its list belong to another cluster: check --data-dir");
    if (node.member("list_mismatch").exists())
      alarm(Style::yellow, name + ": its list does not name the members: correct it, and restart");
    if (node.member("log").find("disk_full").boolean().value_or(false))
      alarm(Style::red, name + ": the disk is full: make space in its data directory");
    const auto quota = node.member("quota").find("state").string().value_or("");
    if (quota == "exceeded")
      alarm(Style::red,
            name + ": the store has reached its quota: delete keys or raise --store-bytes");
    if (quota == "near") alarm(Style::yellow, name + ": the store is near its quota");
    add_certificate_alarms(name, node.member("tls"));
    if (pace.fsync >= kSlowFsync)
      alarm(Style::yellow, fmt::format("{}: the disk is slow: 1 write in 100 took {} or longer",
                                       name, duration_text(pace.fsync)));
    const json::Value history = node.member("history");
    const auto part = [](const json::Value& object, std::string_view used, std::string_view most) {
      const double bound = static_cast<double>(object.find(most).uint64().value_or(0));
      return bound > 0 ? static_cast<double>(object.find(used).uint64().value_or(0)) / bound : 0.0;
    };
    if (part(history, "bytes", "keep_bytes") >= kNear)
      alarm(Style::yellow, name + ": the history is near its bound: raise --keep-history-bytes");
    if (part(node.member("idempotency"), "keys", "max") >= kNear)
      alarm(Style::yellow, name + ": the table of Idempotency-Keys is nearly full");
    const std::uint64_t committed = node.number("commit_index"),
                        applied = node.number("applied_index");
    if (committed > applied && committed - applied > kLongLag)
      alarm(Style::yellow, fmt::format("{}: {} committed entries are not applied yet", name,
                                       with_separators(committed - applied)));
  }

  void add_certificate_alarms(const std::string& name, const json::Value& tls) {
    const json::Value left = tls.find("days_left");
    const std::uint64_t days = left.uint64().value_or(kDays);
    if (left.number().value_or("").starts_with('-'))
      alarm(Style::red, name + ": its certificate has expired: replace its files");
    else if (days < kDays)
      alarm(4 * days < kDays ? Style::red : Style::yellow,
            fmt::format("{}: its certificate expires in {}: replace its files", name,
                        plural(days, "day")));
    if (const auto why = tls.find("reload_error").string())
      alarm(Style::yellow, name + ": changed certificate files cannot be used: " + escaped(*why));
  }

  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string_view title;
    int rank;  // columns with a higher rank are left out first
    Align align;
  };
  static constexpr std::array<Column, 13> kColumns = {{{"ID", 0, Align::right},
                                                       {"ADDRESS", 0, Align::left},
                                                       {"ROLE", 0, Align::left},
                                                       {"STATE", 1, Align::left},
                                                       {"TERM", 5, Align::right},
                                                       {"LAG", 1, Align::right},
                                                       {"REQ/S", 2, Align::right},
                                                       {"MEDIAN", 6, Align::right},
                                                       {"99%", 2, Align::right},
                                                       {"FSYNC", 3, Align::right},
                                                       {"LOG", 4, Align::right},
                                                       {"SNAPSHOT", 7, Align::right},
                                                       {"UPTIME", 8, Align::right}}};
  using Cells = std::array<Span, kColumns.size()>;

  // The leader's word for the node (GET /cluster).
  std::string state_of(const SurveyedNode& node) const {
    for (const auto& member : now_.members.root().find("members"))
      if (member.value.find("id").uint64() == node.id)
        return escaped(member.value.find("state").string().value_or("-"), 20);
    return "-";
  }

  Cells cells_of(const SurveyedNode& node, const Pace& pace) const {
    const std::string id = node.id ? std::to_string(*node.id) : "-";
    std::string address = node.server.url();
    address.erase(0, address.find("//") + 2);
    Cells cells;
    for (Span& cell : cells) cell.text = "-";
    cells[0].text = id;
    cells[1].text = address;
    if (!node.reachable) {
      cells[2] = {node.is_denied ? "denied" : "unreachable", Style::red};
      return cells;
    }
    const bool leads = &node == leader_;
    if (is_silent(node)) cells[2] = {"silent", Style::red};
    else
      cells[2] = {escaped(node.member("role").string().value_or("-"), 12),
                  leads ? Style::green : Style::plain};
    cells[3].text = leads ? "-" : state_of(node);
    cells[4].text = std::to_string(node.number("term"));
    const auto lag = now_.survey.lag_of(node);
    cells[5].text = lag ? with_separators(*lag) : "-";
    cells[6].text = count_text(pace.requests);
    cells[7].text = duration_text(pace.p50);
    cells[8].text = duration_text(pace.p99);
    cells[9].text = duration_text(pace.fsync);
    cells[10].text =
        size_text(static_cast<double>(node.member("log").find("file_bytes").uint64().value_or(0)));
    if (const auto bytes = node.member("snapshot").find("bytes").uint64())
      cells[11].text = size_text(static_cast<double>(*bytes));
    cells[12].text = uptime_text(node.number("uptime_ms"));
    return cells;
  }

  // The columns that fit into the width, by rank.
  std::vector<std::size_t> choose(const std::array<std::size_t, kColumns.size()>& widths) const {
    int rank = 9;
    std::vector<std::size_t> chosen;
    for (std::size_t width = SIZE_MAX; width > size_.columns && rank > 0; --rank) {
      chosen.clear();
      width = 0;
      for (std::size_t c = 0; c < kColumns.size(); ++c) {
        if (kColumns[c].rank >= rank) continue;
        width += widths[c] + (chosen.empty() ? 0 : kGap.size());
        chosen.push_back(c);
      }
    }
    return chosen;
  }

  void add_table() {
    std::vector<Cells> rows(1);
    for (std::size_t c = 0; c < kColumns.size(); ++c)
      rows[0][c] = {std::string(kColumns[c].title), Style::bold};
    for (std::size_t i = 0; i < nodes().size(); ++i)
      rows.push_back(cells_of(*nodes()[i], paces_[i]));
    std::array<std::size_t, kColumns.size()> widths{};
    for (const Cells& row : rows)
      for (std::size_t c = 0; c < row.size(); ++c)
        widths[c] = std::max(widths[c], row[c].text.size());
    const std::vector<std::size_t> chosen = choose(widths);
    for (const Cells& row : rows) {
      Line line;
      for (const std::size_t c : chosen) {
        if (!line.empty()) line.push_back({std::string(kGap)});
        const std::string padding(widths[c] - row[c].text.size(), ' ');
        if (kColumns[c].align == Align::right) line.push_back({padding});
        line.push_back(row[c]);
        if (kColumns[c].align == Align::left) line.push_back({padding});
      }
      lines_.push_back(std::move(line));
    }
  }

  // True if the node has become silent since it was asked.
  bool is_silent(const SurveyedNode& node) const {
    return facts_.news != nullptr && node.id && facts_.news->is_silent(*node.id);
  }

  // Messages by kind, and as many of the last transitions as there is room for.
  void add_news() {
    std::string messages = "messages/s";
    const MessageCounts counts = facts_.news->messages();
    for (std::size_t family = 0; family < counts.size(); ++family)
      messages += fmt::format("  {} {}", to_string(static_cast<MessageFamily>(family)),
                              with_separators(counts[family]));
    lines_.push_back({});
    lines_.push_back({{std::move(messages)}});
    const auto& transitions = facts_.news->transitions();
    for (auto at = transitions.rbegin(); at != transitions.rend() && lines_.size() < size_.rows;
         ++at) {
      const auto age =
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, (facts_.now - at->at).ms()));
      lines_.push_back({{fmt::format("{:>7} ago  ", uptime_text(age)), Style::dim},
                        {fmt::format("node {}  {}", at->node, at->text)}});
    }
  }

  void cut(Line& line) const {
    std::size_t left = size_.columns;
    for (Span& span : line) {
      if (span.text.size() > left) span.text.resize(left);
      left -= span.text.size();
    }
  }

  const TopFacts facts_;
  const TopReading* before_;
  const TopReading& now_;
  const ScreenSize size_;
  const SurveyedNode* const leader_;
  std::vector<Pace> paces_;  // of each node
  std::size_t alarms_ = 0;
  std::vector<Line> lines_;
};

}  // namespace

std::vector<Line> top_lines(const TopFacts& facts, ScreenSize size) {
  return TopView(facts, size).lines();
}

std::string to_text(const std::vector<Line>& lines, LineColours colours) {
  std::string out;
  for (const Line& line : lines) {
    std::string text;
    for (const Span& span : line)
      append_styled(text, span.text, colours == LineColours::yes ? span.style : Style::plain);
    if (colours == LineColours::no) text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  }
  return out;
}

}  // namespace vesper::app
