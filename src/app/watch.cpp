// `vesper watch`: prints the events of GET /watch?format=ndjson, or runs a program for each. When a
// connection ends, the command goes on at the next endpoint, after the last event.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "app/child_process.hpp"
#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/live_endpoints.hpp"
#include "app/query.hpp"
#include "app/stream_client.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

// A server sends something every 15 seconds.
constexpr Duration kIdle = seconds(20);
// The pause between two rounds over all endpoints. It doubles each time.
constexpr Duration kFirstWatchPause = milliseconds(100);
constexpr Duration kLongestWatchPause = seconds(2);
// A connection that lasted for this long had reached a server that works.
constexpr Duration kServedWatch = seconds(1);
constexpr std::size_t kMaxEvent = std::size_t{128} << 20;  // two values of 8 MiB, all escaped
constexpr std::size_t kMaxVariable = 64 * 1024;            // the system's limit for one is 128 KiB

extern "C" void end_well(int) {
  _exit(kExitOk);
}

void end_well_on(int signal) {
  struct sigaction action {};
  if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = end_well;
  sigaction(signal, &action, nullptr);
}

// One event of a key, a lock or an election.
struct Event {
  std::string type;  // put, delete, held or free
  std::string name;  // the key, or the name of the lock or election
  std::uint64_t revision = 0;
  std::optional<std::string> value;
};

class Watch : public StreamHandler {
 public:
  explicit Watch(const WatchOptions& options)
      : options_(options),
        format_(table_on_terminal(options.cluster)),
        id_(options.since.value_or("")),
        table_({"EVENT", "KEY", "REVISION", "VALUE"}, stdout_colours()) {}

  int run() {
    if (options_.cluster.curl) return print_curl(options_.cluster, call());
    auto endpoints = endpoints_of(options_.cluster);
    if (!endpoints) return kExitUsage;
    endpoints_.emplace(std::move(*endpoints));
    end_well_on(SIGINT);
    end_well_on(SIGTERM);
    const Instant give_up_at = monotonic_now() + options_.cluster.time_limit();
    Duration pause = kFirstWatchPause;
    for (;; endpoints_->go_on()) {
      const Step step = ask(endpoints_->current());
      if (step == Step::finish) return exit_code_;
      if (step == Step::served) {
        failures_ = 0;
        pause = kFirstWatchPause;
        continue;
      }
      if (++failures_ % endpoints_->size() != 0) continue;
      endpoints_->learn_from_all();
      const bool never = !was_opened_ && (!was_connected_ || monotonic_now() >= give_up_at);
      if (never) return give_up();
      if (was_opened_ && !is_waiting_) {
        note(fmt::format("{}; trying again", failure_));
        is_waiting_ = true;
      }
      sleep_until(monotonic_now() + pause);
      pause = std::min(pause * 2, kLongestWatchPause);
    }
  }

  // StreamHandler:
  Supply supply(std::string&) override { return Supply::end; }
  int input_fd() const override { return -1; }

  void take_head(int status, std::uint64_t revision) override {
    status_ = status;
    if (status != 200) return;
    was_opened_ = true;
    // Without an id, the events begin after the revision at which the stream was opened.
    if (id_.empty() && !in_state_ && revision != 0) id_ = std::to_string(revision);
  }

  bool take_body(std::string_view part) override {
    rest_ += part;
    if (status_ != 200) return rest_.size() <= kMaxEvent;
    if (id_.empty() && !in_state_) {
      // What came before a broken connection and what comes after it would not meet.
      failure_ = fmt::format("{}: this node does not say at which revision it begins", server_);
      return false;
    }
    std::string_view lines = rest_;
    bool goes_on = true;
    for (std::size_t end = 0; goes_on && (end = lines.find('\n')) != lines.npos;) {
      goes_on = take_line(lines.substr(0, end + 1));
      lines.remove_prefix(end + 1);
    }
    if (!flush()) goes_on = false;
    // Not before the first lines: they say if the node is stale, and then its members are old, too.
    if (goes_on && !is_stale_) endpoints_->learn_from(connected_to_);
    rest_.erase(0, rest_.size() - lines.size());
    return goes_on && rest_.size() <= kMaxEvent;
  }

 private:
  // What follows from one connection. served: it worked for a while.
  enum class Step : std::uint8_t { finish, served, failed };

  Call call() const {
    Query query(options_.query);
    if (!id_.empty()) query.add("since", id_);
    else if (options_.initial) query.flag("initial");
    Call call;
    call.method = "GET";
    call.path = "/watch";
    call.query = query.text();
    call.takes_timeout = false;
    call.is_endless = true;
    return call;
  }

  // By value: the endpoints may change meanwhile.
  Step ask(HostPort server) {
    connected_to_ = server;
    status_ = 0;
    rest_.clear();
    events_of_connection_ = 0;
    server_ = server.url();
    failure_.clear();
    is_stale_ = false;
    in_state_ = id_.empty() && options_.initial;
    const Instant began = monotonic_now();
    const StreamEnd end =
        run_stream(server, {"GET", target_of(call(), {}), {}}, {kConnectTimeout, kIdle}, *this);
    if (is_finished_) return Step::finish;
    was_connected_ |= end.kind != StreamEnd::Kind::not_connected;
    if (status_ != 0 && status_ != 200) return take_problem();
    if (in_state_ && events_of_connection_ != 0)
      note("the connection ended while the present state was sent: it is sent again");
    if (end.kind == StreamEnd::Kind::bad_reply && !was_opened_) {
      complain(fmt::format("{}: {}", server_, end.detail));
      return finish(kExitError);
    }
    if (failure_.empty())
      failure_ =
          fmt::format("{}: {}", server_, end.detail.empty() ? "the stream ended" : end.detail);
    const bool served = status_ == 200 && !is_stale_ &&
                        (events_of_connection_ != 0 || monotonic_now() - began >= kServedWatch);
    return served ? Step::served : Step::failed;
  }

  Step take_problem() {
    const ProblemText problem = read_problem(rest_);
    failure_ = fmt::format("{}: {}", server_, describe(problem, status_));
    if (status_ == 429 || status_ >= 500) return Step::failed;
    complain(describe(problem, status_));
    if (!problem.hint.empty()) hint(escaped(problem.hint, 1000));
    return finish(exit_code_of(status_, problem.code, Access::read));
  }

  Step finish(int code) {
    is_finished_ = true;
    exit_code_ = code;
    return Step::finish;
  }

  int give_up() const {
    complain(failure_);
    hint("check that the cluster is up and that --endpoints or VESPER_ENDPOINTS names its nodes");
    return kExitUnavailable;
  }

  // ---- lines

  // Returns false if this ends the connection.
  bool take_line(std::string_view line) {
    json::Document document;
    const json::Document::Limits limits{kMaxEvent, json::kMaxDepth, 1u << 20};
    if (document.parse(line, limits)) {
      failure_ = fmt::format("{}: the server sent a line that is not JSON", server_);
      return false;
    }
    const json::Value root = document.root();
    const std::string type(root.find("type").string().value_or(""));
    if (type == "put" || type == "delete" || type == "held" || type == "free")
      return take_event(line, root, type);
    if (type == "stale" || type == "fresh") return take_freshness(type == "stale");
    if (type == "closed") return take_closed(root);
    if (type == "reset") {
      in_state_ = true;
      note("events are missing: the present state follows");
    }
    if (!is_stale_) served();
    const auto revision = root.find("revision").uint64();
    if (type == "synced") in_state_ = false;
    if ((type == "synced" || type == "progress") && revision && !in_state_)
      id_ = std::to_string(*revision);
    if (type == "reset" || type == "synced") {
      if (format_ == OutputFormat::json && options_.exec.empty()) out_ += line;
    }
    return true;
  }

  // A node that hears no leader may miss events. Another one may hear it.
  bool take_freshness(bool is_stale) {
    is_stale_ = is_stale;
    if (!is_stale) {
      served();
      return true;
    }
    failure_ = fmt::format("{}: this node hears no leader, and events may be late", server_);
    if (endpoints_->size() > 1) return false;
    if (!is_waiting_) note(failure_);
    is_waiting_ = true;
    return true;
  }

  // Something came from a server that works.
  void served() {
    if (is_waiting_) note(fmt::format("{}: events arrive again", server_));
    is_waiting_ = false;
  }

  bool take_closed(const json::Value& root) {
    failure_ = fmt::format("{}: {}", server_, describe(read_problem(root), 200));
    if (!is_waiting_) note(failure_);
    return false;
  }

  bool take_event(std::string_view line, const json::Value& root, const std::string& type) {
    Event event;
    event.type = type;
    for (const char* name : {"key", "lock", "election"})
      if (auto bytes = bytes_of(root, name)) event.name = std::move(*bytes);
    event.revision = root.find("revision").uint64().value_or(0);
    event.value = bytes_of(root, "value");
    ++events_of_connection_;
    if (!is_stale_) served();
    if (!options_.exec.empty()) {
      if (!run_program(event, line)) return false;
    } else {
      append(event, line);
    }
    if (in_state_) return true;  // a state has no ids
    id_ = std::to_string(event.revision);
    if (root.find("more").boolean().value_or(false))
      if (const auto part = root.find("part").uint64()) id_ += fmt::format(".{}", *part);
    return true;
  }

  // ---- output

  void append(const Event& event, std::string_view line) {
    switch (format_) {
      case OutputFormat::json: out_ += line; break;
      case OutputFormat::raw: out_ += make_tabbed({raw_row(event)}); break;
      case OutputFormat::table: rows_.push_back(table_row(event)); break;
    }
  }

  static Row raw_row(const Event& event) {
    Row row = {event.type, Cell(escaped(event.name, event.name.size())),
               std::to_string(event.revision)};
    if (event.value) row.emplace_back(escaped(*event.value, event.value->size()));
    return row;
  }

  static Row table_row(const Event& event) {
    const std::size_t columns = terminal_columns(STDOUT_FILENO);
    Cell name = Cell::of_bytes(event.name, std::max(columns / 2, Cell::kLeastColumns));
    const std::size_t used = name.columns + 8 + 10 + 6;
    const std::size_t room = std::max(columns - std::min(columns, used), Cell::kLeastColumns);
    const bool is_gain = event.type == "put" || event.type == "held";
    return {Cell(event.type, is_gain ? Style::green : Style::red), std::move(name),
            std::to_string(event.revision),
            event.value ? Cell::of_bytes(*event.value, room) : Cell("-")};
  }

  // Prints what the lines of one part of the reply gave. Returns false if that fails.
  bool flush() {
    if (!rows_.empty()) out_ += table_.lines(rows_);
    rows_.clear();
    if (out_.empty()) return true;
    if (print(out_) != kExitOk) finish(kExitError);
    out_.clear();
    return !is_finished_;
  }

  // ---- --exec

  // Returns false if a signal came that ends this command.
  bool run_program(const Event& event, std::string_view line) {
    const auto variable = [](const std::string& text) -> std::optional<std::string> {
      if (text.size() > kMaxVariable || text.find('\0') != text.npos) return std::nullopt;
      return text;
    };
    const RunEnd end = run_with_input(
        {.words = options_.exec,
         .environment = {{"VESPER_EVENT", event.type},
                         {"VESPER_KEY", variable(event.name)},
                         {"VESPER_REVISION", std::to_string(event.revision)},
                         {"VESPER_VALUE", event.value ? variable(*event.value) : std::nullopt}}},
        line);
    const std::string about =
        fmt::format("{} of \"{}\" at {}", event.type, escaped(event.name), event.revision);
    if (end.error != 0)
      complain(fmt::format("{}: cannot run \"{}\": {}", about, escaped(options_.exec[0]),
                           std::strerror(end.error)));
    else if (end.exit_code != 0 && !end.interrupted)
      complain(fmt::format("{}: \"{}\" ended with exit code {}", about, escaped(options_.exec[0]),
                           end.exit_code));
    if (end.interrupted) finish(kExitOk);
    return !end.interrupted;
  }

  const WatchOptions& options_;
  const OutputFormat format_;
  std::string id_;         // of the last event; empty: there is none to resume after
  bool in_state_ = false;  // the present state is arriving
  Table table_;
  std::vector<Row> rows_;                   // to print
  std::string out_;                         // to print
  std::optional<LiveEndpoints> endpoints_;  // from run() on
  bool was_connected_ = false, was_opened_ = false;
  bool is_waiting_ = false;  // the user was told that no events arrive
  bool is_finished_ = false;
  int exit_code_ = kExitOk;
  std::size_t failures_ = 0;  // in a row
  std::string failure_;       // the last one, for people
  // Of the present connection.
  HostPort connected_to_;
  std::string server_;
  int status_ = 0;
  bool is_stale_ = false;
  std::string rest_;  // an incomplete line, or the body of an error
  std::uint64_t events_of_connection_ = 0;
};

}  // namespace

int run_watch(const WatchOptions& options) {
  return Watch(options).run();
}

}  // namespace vesper::app
