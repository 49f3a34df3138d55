// `vesper import FILE`: streams lines to POST /kv, and says where to continue after an error.
#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "app/commands.hpp"
#include "app/curl.hpp"
#include "app/import_line.hpp"
#include "app/kv_command.hpp"
#include "app/progress.hpp"
#include "app/query.hpp"
#include "app/stream_client.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

constexpr std::string_view kContentType = "application/x-ndjson";
constexpr std::size_t kPart = 256 * 1024;  // of the body, which is sent as one chunk
constexpr std::size_t kMaxReplyLine = std::size_t{1} << 20;

// The server counts the lines that it gets. This maps them to the lines of the file, of which blank
// ones and those before --from-line are not sent.
class LineNumbers {
 public:
  void add(std::uint64_t file_line) {
    const std::uint64_t skipped = file_line - ++sent_;
    if (runs_.empty() || runs_.back().skipped != skipped) runs_.push_back({sent_, skipped});
  }
  std::uint64_t sent() const { return sent_; }
  // Requires a line that was sent and not forgotten.
  std::uint64_t in_file(std::uint64_t sent_line) const {
    auto run = std::upper_bound(runs_.begin(), runs_.end(), sent_line,
                                [](std::uint64_t line, const Run& r) { return line < r.first; });
    return run == runs_.begin() ? sent_line : sent_line + (--run)->skipped;
  }
  // No line before this one will be asked for.
  void forget_before(std::uint64_t sent_line) {
    while (runs_.size() > 1 && runs_[1].first <= sent_line) runs_.pop_front();
  }

 private:
  struct Run {
    std::uint64_t first;    // of the lines that were sent
    std::uint64_t skipped;  // lines of the file before it that were not sent
  };
  std::deque<Run> runs_;
  std::uint64_t sent_ = 0;
};

void wait_for_input(int fd) {
  pollfd readable{fd, POLLIN, 0};
  poll(&readable, 1, -1);
}

class Import : public StreamHandler {
 public:
  explicit Import(const ImportOptions& options)
      : options_(options), format_(options.cluster.output.value_or(OutputFormat::raw)) {}

  int run() {
    if (auto opened = lines_.open(options_.file); !opened) {
      complain(opened.error().what);
      return kExitError;
    }
    if (const auto failed = skip_lines()) return *failed;
    progress_.set_total(lines_.size());
    const auto endpoints = endpoints_of(options_.cluster);
    if (!endpoints) return kExitUsage;
    read_first_part();
    if (numbers_.sent() == 0) return conclude_without_lines();
    // Lines that were sent cannot be taken back from stdin, so a node that serves is found first.
    Call probe;
    probe.method = "GET";
    probe.path = "/readyz";
    probe.takes_timeout = false;
    const Outcome ready = call_cluster(*endpoints, probe, options_.cluster.time_limit());
    if (ready.reply.status == 503) {
      complain(fmt::format("{}: the node is not ready to serve", ready.detail));
      return kExitUnavailable;
    }
    if (const int code = report(ready, Access::read, OutputFormat::raw)) return code;
    return send_to(ready.server);
  }

  // StreamHandler:
  Supply supply(std::string& out) override {
    progress_.update(lines_.taken(), written_);
    if (!first_part_.empty()) {
      out += std::exchange(first_part_, {});
      return after_first_part_;
    }
    while (out.size() < kPart) {
      std::string_view line;
      switch (lines_.next(line)) {
        case LineReader::Next::line: break;
        case LineReader::Next::wait: return out.empty() ? Supply::wait : Supply::part;
        case LineReader::Next::end: return Supply::end;
        case LineReader::Next::error:
          local_error_ = lines_.error();
          ++file_line_;
          return Supply::end;
      }
      ++file_line_;
      if (is_blank(line)) continue;
      if (auto rewritten = rewrite_line(line, out); !rewritten) {
        // The lines before it are written.
        local_error_ = rewritten.error().what;
        return Supply::end;
      }
      numbers_.add(file_line_);
    }
    return Supply::part;
  }
  int input_fd() const override { return lines_.fd(); }

  void take_head(int status, std::uint64_t) override { status_ = status; }

  bool take_body(std::string_view part) override {
    reply_ += part;
    if (status_ != 200) return reply_.size() <= kMaxReplyLine;
    std::size_t at = 0;
    for (std::size_t end; (end = reply_.find('\n', at)) != reply_.npos; at = end + 1)
      take_line(std::string_view(reply_).substr(at, end + 1 - at));
    reply_.erase(0, at);
    return reply_.size() <= kMaxReplyLine;
  }

 private:
  void read_first_part() {
    std::string part;
    do {
      after_first_part_ = supply(part);
      if (after_first_part_ == Supply::wait) wait_for_input(lines_.fd());
    } while (part.empty() && after_first_part_ != Supply::end);
    first_part_ = std::move(part);
  }

  int conclude_without_lines() const {
    if (!local_error_) return print_totals();
    complain_of_line();
    return kExitError;
  }

  void complain_of_line() const {
    complain(fmt::format("{}:{}: {}", escaped(options_.file), file_line_, *local_error_));
  }

  int send_to(const HostPort& server) {
    Call call;
    call.method = "POST";
    call.path = "/kv";
    const std::string target = target_of(call, server_timeout());
    server_ = server.url();
    const StreamEnd end =
        run_stream(server, {call.method, target, kContentType},
                   {kConnectTimeout, options_.cluster.time_limit() + seconds(1)}, *this);
    progress_.clear();
    return conclude(end);
  }

  // For a leader, at each batch.
  std::string server_timeout() const {
    const auto ms = std::min<std::int64_t>(options_.cluster.time_limit().ms(), 60'000);
    return fmt::format("{}ms", std::max<std::int64_t>(ms, 10));
  }

  // The lines before --from-line. They are not looked at.
  std::optional<int> skip_lines() {
    while (file_line_ + 1 < options_.from_line) {
      std::string_view line;
      switch (lines_.next(line)) {
        case LineReader::Next::line: ++file_line_; break;
        case LineReader::Next::wait: wait_for_input(lines_.fd()); break;
        case LineReader::Next::end:
          complain(fmt::format("{}: --from-line {}: the input has only {} lines",
                               escaped(options_.file), options_.from_line, file_line_));
          return kExitError;
        case LineReader::Next::error:
          complain(
              fmt::format("{}:{}: {}", escaped(options_.file), file_line_ + 1, lines_.error()));
          return kExitError;
      }
    }
    return std::nullopt;
  }

  // {"lines":[from,to],"revision":N}, the totals, or {"error":{...}}.
  void take_line(std::string_view line) {
    // The lines are imported even if nothing can be printed.
    if (format_ == OutputFormat::json && !print_failed_) print_failed_ = print(line) != kExitOk;
    json::Document document;
    if (document.parse(line)) return;
    const json::Value root = document.root();
    if (const json::Value error = root.find("error"); error.exists()) {
      error_ = read_problem(error);
      error_status_ = static_cast<int>(error.find("status").uint64().value_or(500));
      return;
    }
    revision_ = root.find("revision").uint64().value_or(revision_);
    const json::Value lines = root.find("lines");
    if (lines.kind() != json::Kind::array) {
      has_totals_ = true;
      return;
    }
    for (const auto& bound : lines) written_ = bound.value.uint64().value_or(written_);
    numbers_.forget_before(written_);
    progress_.update(lines_.taken(), written_);
  }

  int conclude(const StreamEnd& end) {
    // Before a line is written, an error is a reply of its own.
    if (status_ != 0 && status_ != 200) {
      error_ = read_problem(reply_);
      error_status_ = status_;
    }
    if (error_) return fail_as_told();
    if (end.kind != StreamEnd::Kind::complete || !has_totals_) {
      complain(fmt::format("{}: {}", server_,
                           end.detail.empty() ? "the reply has no totals" : end.detail));
      const bool sent_any = end.kind != StreamEnd::Kind::not_connected && numbers_.sent() != 0;
      return resume(sent_any ? kExitUnknown : kExitUnavailable);
    }
    if (local_error_) {
      complain_of_line();
      return resume(kExitError);
    }
    return print_totals();
  }

  // The server has ended the import with an error.
  int fail_as_told() {
    const std::string text = describe(*error_, error_status_);
    if (error_->line > written_ && error_->line <= numbers_.sent())
      complain(
          fmt::format("{}:{}: {}", escaped(options_.file), numbers_.in_file(error_->line), text));
    else complain(fmt::format("{}: {}", server_, text));
    if (!error_->hint.empty()) hint(escaped(error_->hint, 1000));
    const int code = exit_code_of(error_status_, error_->code, Access::write);
    // "Unavailable" would mean that nothing was applied.
    return resume(code == kExitUnavailable && written_ != 0 ? kExitError : code);
  }

  // Says where to continue. Returns `code`.
  int resume(int code) const {
    const std::uint64_t next =
        written_ < numbers_.sent() ? numbers_.in_file(written_ + 1) : next_unsent();
    if (written_ == 0 && next == options_.from_line && code != kExitUnknown) return code;
    const std::string before =
        written_ == 0 ? std::string() : fmt::format("the lines before {} are written; ", next);
    const std::string after = code == kExitUnknown
                                  ? fmt::format("some lines from {} on may be written, too; ", next)
                                  : std::string();
    hint(fmt::format("{}{}to continue: vesper import {} --from-line {}", before, after,
                     shell_word(options_.file), next));
    return code;
  }

  // The first line of the file that was not sent.
  std::uint64_t next_unsent() const { return local_error_ ? file_line_ : file_line_ + 1; }

  int print_totals() const {
    const std::string written = std::to_string(written_);
    if (format_ == OutputFormat::json) {
      if (print_failed_) hint(kTookEffect);
      return print_failed_ ? kExitError : kExitOk;
    }
    if (format_ == OutputFormat::raw) return print(written + "\n", kExitOk, kTookEffect);
    return print(make_table({"lines", "revision"}, {{written, std::to_string(revision_)}}), kExitOk,
                 kTookEffect);
  }

  const ImportOptions& options_;
  const OutputFormat format_;
  Progress progress_{"importing"};
  LineReader lines_;
  std::uint64_t file_line_ = 0;  // the last one that was read
  LineNumbers numbers_;
  std::optional<std::string> local_error_;  // of file_line_
  std::string first_part_;                  // of the body, which was read before the request
  Supply after_first_part_ = Supply::part;
  std::string server_;
  // Of the reply.
  int status_ = 0;
  std::string reply_;           // an incomplete line, or the body of an error
  std::uint64_t written_ = 0;   // lines, as the server counts them
  std::uint64_t revision_ = 0;  // of the last batch
  bool has_totals_ = false;
  bool print_failed_ = false;
  std::optional<ProblemText> error_;
  int error_status_ = 0;
};

// Prints the curl command that sends the file.
int print_import_curl(const ImportOptions& options) {
  const auto endpoints = endpoints_of(options.cluster);
  if (!endpoints) return kExitUsage;
  const bool skips = options.from_line > 1;
  std::string out;
  if (skips) {
    out = fmt::format("tail -n +{}", options.from_line);
    if (options.file != "-") out += " -- " + shell_word(options.file);
    out += " | ";
  }
  out += curl_command(endpoints->front(), options.cluster.tls,
                      {.method = "POST",
                       .target = "/kv",
                       .content_type = kContentType,
                       .body = CurlRequest::Body::upload,
                       .text_or_file = skips ? "-" : options.file});
  hint(
      "curl sends each line unchanged, and a node refuses the revisions in the lines of an export; "
      "to remove them: jq -c 'del(.revision,.create_revision,.version,.lease,.ttl_ms)'");
  return print(out + "\n");
}

}  // namespace

int run_import(const ImportOptions& options) {
  if (options.cluster.curl) return print_import_curl(options);
  return Import(options).run();
}

}  // namespace vesper::app
