// `vesper export [PREFIX]`: streams GET /kv?format=ndjson to stdout. If a node fails, the command
// goes on at the next one, after the last complete line and at the same revision.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/live_endpoints.hpp"
#include "app/progress.hpp"
#include "app/query.hpp"
#include "app/stream_client.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

constexpr Duration kExportPause = milliseconds(100);  // between two rounds over all endpoints
constexpr std::size_t kMaxExportLine = std::size_t{64} << 20;
constexpr std::string_view kErrorLine = "{\"error\":";

class Export : public StreamHandler {
 public:
  explicit Export(const ExportOptions& options)
      : options_(options),
        range_(kv::KeyRange::of_prefix(options.prefix)),
        revision_(options.revision.value_or(0)) {}

  int run() {
    if (options_.cluster.curl) return print_curl(options_.cluster, call());
    auto endpoints = endpoints_of(options_.cluster);
    if (!endpoints) return kExitUsage;
    // On one terminal, the bar would stand between the lines.
    if (progress_.is_visible() && !is_terminal(STDOUT_FILENO)) {
      shows_progress_ = true;
      count_keys(*endpoints);
    }
    endpoints_.emplace(std::move(*endpoints));
    const int code = stream();
    progress_.clear();
    if (code != kExitOk) report_failure();
    return code;
  }

  // StreamHandler:
  Supply supply(std::string&) override { return Supply::end; }
  int input_fd() const override { return -1; }

  void take_head(int status, std::uint64_t revision) override {
    status_ = status;
    if (status != 200) return;
    if (revision_ == 0) revision_ = revision;
    endpoints_->learn_from(connected_to_);
  }

  bool take_body(std::string_view part) override {
    const std::size_t newline = part.rfind('\n');
    // Where the complete lines end. 0: none is complete.
    const std::size_t end = newline == part.npos ? 0 : rest_.size() + newline + 1;
    rest_ += part;
    if (status_ != 200) return rest_.size() <= kMaxExportLine;
    const bool goes_on = end == 0 || take_lines(std::string_view(rest_).substr(0, end));
    rest_.erase(0, end);
    return goes_on && rest_.size() <= kMaxExportLine;
  }

 private:
  // What follows from one attempt.
  enum class Step : std::uint8_t { done, next_endpoint, give_up };

  Call call() const {
    Query query;
    if (!last_line_.empty()) add_range(query, range_);
    else if (!options_.prefix.empty()) query.add("prefix", options_.prefix);
    query.add("format", "ndjson");
    if (revision_ != 0) query.add("revision", revision_);
    Call call;
    call.method = "GET";
    call.path = "/kv";
    call.query = query.text();
    return call;
  }

  // An estimate for the bar: others may write until the stream begins.
  void count_keys(const std::vector<HostPort>& endpoints) {
    Query query;
    if (!options_.prefix.empty()) query.add("prefix", options_.prefix);
    query.flag("count_only");
    if (options_.revision) query.add("revision", *options_.revision);
    Call call;
    call.method = "GET";
    call.path = "/kv";
    call.query = query.text();
    const Outcome outcome = call_cluster(endpoints, call, options_.cluster.time_limit());
    json::Document document;
    if (outcome.kind != Outcome::Kind::reply || document.parse(outcome.reply.body)) return;
    progress_.set_total(document.root().find("count").uint64().value_or(0));
  }

  int stream() {
    progressed();
    bool was_connected = false;
    for (;; endpoints_->go_on()) {
      const std::uint64_t keys_before = keys_;
      const Step step = ask(endpoints_->current(), was_connected);
      if (step == Step::done) return kExitOk;
      if (step == Step::give_up) return exit_code_;
      if (keys_ != keys_before) failures_ = 0;
      if (++failures_ % endpoints_->size() != 0) continue;
      if (!was_connected && keys_ == 0) return kExitUnavailable;
      was_connected = false;
      endpoints_->learn_from_all();
      if (monotonic_now() >= finish_by_) return kExitUnavailable;
      sleep_until(monotonic_now() + kExportPause);
    }
  }

  void progressed() { finish_by_ = monotonic_now() + options_.cluster.time_limit(); }

  // By value: the endpoints may change meanwhile.
  Step ask(HostPort server, bool& was_connected) {
    connected_to_ = server;
    status_ = 0;
    rest_.clear();
    error_ = {};
    const auto wait = std::clamp<std::int64_t>(options_.cluster.time_limit().ms(), 10, 60'000);
    const StreamEnd end =
        run_stream(server, {"GET", target_of(call(), fmt::format("{}ms", wait)), {}},
                   {kConnectTimeout, options_.cluster.time_limit() + seconds(1)}, *this);
    if (print_failed_) return give_up(kExitError);
    was_connected |= end.kind != StreamEnd::Kind::not_connected;
    if (status_ != 0 && status_ != 200) return take_problem(server, status_, read_problem(rest_));
    if (!error_.code.empty()) return take_problem(server, error_status_, error_);
    if (end.kind == StreamEnd::Kind::complete && rest_.empty()) return Step::done;
    failure_ = fmt::format("{}: {}", server.url(),
                           end.detail.empty() ? "the reply does not end with a line" : end.detail);
    if (end.kind == StreamEnd::Kind::bad_reply) return give_up(kExitError);
    return begin_after_last_line();
  }

  Step take_problem(const HostPort& server, int status, const ProblemText& problem) {
    failure_ = fmt::format("{}: {}", server.url(), describe(problem, status));
    hint_ = problem.hint;
    // Another node may be able to serve it. All others mean the same on every node.
    if (status == 429 || status == 503) return begin_after_last_line();
    return give_up(exit_code_of(status, problem.code, Access::read));
  }

  Step give_up(int code) {
    exit_code_ = code;
    return Step::give_up;
  }

  Step begin_after_last_line() {
    if (last_line_.empty()) return Step::next_endpoint;
    json::Document document;
    const json::Document::Limits limits{kMaxExportLine, json::kMaxDepth, 1u << 20};
    const auto key =
        document.parse(last_line_, limits) ? std::nullopt : bytes_of(document.root(), "key");
    if (!key) return give_up(kExitError);
    range_.start = key_after(*key);
    if (range_.start.empty() || range_.is_empty()) return Step::done;
    return Step::next_endpoint;
  }

  // `lines` ends with a newline. The last line of a stream may be an error in place of a key.
  bool take_lines(std::string_view lines) {
    std::size_t at = 0, last = 0;
    while (at < lines.size() && !lines.substr(at).starts_with(kErrorLine)) {
      last = at;
      at = lines.find('\n', at) + 1;
      ++keys_;
    }
    if (at > 0) {
      last_line_ = lines.substr(last, at - last);
      if (print(lines.substr(0, at)) != kExitOk) print_failed_ = true;
      progressed();
      endpoints_->learn_from(connected_to_);
      if (shows_progress_) progress_.update(keys_, keys_);
    }
    if (at == lines.size()) return !print_failed_;
    json::Document document;
    if (document.parse(lines.substr(at))) return false;
    error_ = read_problem(document.root().find("error"));
    error_status_ =
        static_cast<int>(document.root().find("error").find("status").uint64().value_or(500));
    return false;
  }

  void report_failure() const {
    if (print_failed_) return;
    complain(failure_);
    if (!hint_.empty()) hint(escaped(hint_, 1000));
    else if (keys_ == 0 && exit_code_ == kExitUnavailable)
      hint("check that the cluster is up and that --endpoints or VESPER_ENDPOINTS names its nodes");
    if (keys_ != 0)
      hint(fmt::format("the output is incomplete: it ends after {} keys", with_separators(keys_)));
  }

  const ExportOptions& options_;
  kv::KeyRange range_;      // what is left to export
  std::uint64_t revision_;  // of the whole export; 0: not known yet
  Progress progress_{"exporting"};
  bool shows_progress_ = false;
  std::uint64_t keys_ = 0;
  std::string last_line_;                   // that was printed
  std::optional<LiveEndpoints> endpoints_;  // once it is known which ones
  std::size_t failures_ = 0;                // in a row
  Instant finish_by_;
  int exit_code_ = kExitUnavailable;
  std::string failure_;
  std::string hint_;
  bool print_failed_ = false;
  // Of the present attempt.
  HostPort connected_to_;
  int status_ = 0;
  std::string rest_;   // an incomplete line, or the body of an error
  ProblemText error_;  // of an error in mid-stream
  int error_status_ = 0;
};

}  // namespace

int run_export(const ExportOptions& options) {
  return Export(options).run();
}

}  // namespace vesper::app
