// `vesper lock NAME [-- COMMAND]` and `vesper elect NAME VALUE [-- COMMAND]`.
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "app/child_process.hpp"
#include "app/commands.hpp"
#include "app/holding.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

using Kind = LockOptions::Kind;

// From SIGTERM to SIGKILL, for a command that has lost its lock.
constexpr Duration kGrace = seconds(5);
constexpr Duration kGroupCheck = milliseconds(20);  // a group that ends sends no signal
constexpr std::int64_t kMostWaitMs = 600'000;       // of ?wait=
constexpr std::uint64_t kLocksAtOnce = 1000;

class LockCommand {
 public:
  explicit LockCommand(const LockOptions& options)
      : options_(options), is_election_(options.kind == Kind::election) {}

  int run() {
    switch (options_.action) {
      case LockOptions::Action::acquire:
        return options_.program.empty() ? acquire_only() : run_program();
      case LockOptions::Action::renew: return renew();
      case LockOptions::Action::release: return release();
      case LockOptions::Action::list: return list();
    }
    VESPER_UNREACHABLE();
  }

 private:
  OutputFormat format() const { return options_.cluster.output.value_or(OutputFormat::raw); }
  std::string_view what() const { return is_election_ ? "the leadership" : "the lock"; }

  Call call(std::string_view method) const {
    Call call;
    call.method = method;
    call.path = is_election_ ? "/elections/" : "/locks/";
    http::percent_encode_path(options_.name, call.path);
    call.access = Access::write;
    return call;
  }
  Call call_of_holder(std::string_view method, std::uint64_t token) const {
    Call made = call(method);
    made.query = Query().add("token", token).text();
    return made;
  }
  Call acquire_call() const {
    Call made = call("POST");
    made.query = Query().add("ttl", fmt::format("{}ms", options_.ttl.ms())).text();
    made.body = options_.value;
    return made;
  }

  // ---- requests of their own

  int print_acquire() const {
    Call made = acquire_call();
    const std::int64_t wait =
        options_.wait ? std::min(options_.wait->ms(), kMostWaitMs) : kMostWaitMs;
    if (wait != 0) made.query = Query(made.query).add("wait", fmt::format("{}ms", wait)).text();
    return print_curl(options_.cluster, made);
  }

  int acquire_only() {
    if (options_.cluster.curl) return print_acquire();
    const auto endpoints = endpoints_of(options_.cluster);
    if (!endpoints) return kExitUsage;
    Acquisition acquisition(*endpoints, plan());
    const Outcome outcome = *acquisition.run(-1);
    if (const int code = report(outcome, Access::read, format())) return code;
    return print_reply(outcome, format(), {"token", "ttl_ms"}, "token", kTookEffect);
  }

  int renew() const {
    Call made = call_of_holder("PUT", options_.token);
    made.body = options_.value;
    return run_call(std::move(made), {"token", "ttl_ms"}, "ttl_ms");
  }

  int release() const {
    return run_call(call_of_holder("DELETE", options_.token), {"released"}, "released");
  }

  int run_call(Call made, const std::vector<std::string_view>& columns,
               std::string_view raw) const {
    made.idempotency_key = make_idempotency_key();
    return print_outcome(call_endpoints(options_.cluster, made), options_.cluster, Access::write,
                         columns, raw);
  }

  int list() const {
    const OutputFormat shown = table_on_terminal(options_.cluster);
    const std::string_view all = is_election_ ? "elections" : "locks";
    Query query;
    if (!options_.name.empty()) query.add("prefix", options_.name);
    query.add("limit", kLocksAtOnce);
    Row header = {is_election_ ? "ELECTION" : "LOCK", "TOKEN", "TTL_MS", "WAITERS"};
    if (is_election_) header.emplace_back("VALUE");
    return run_pages(options_.cluster, {all, query.text()}, std::move(header),
                     [&](const json::Value& one) { return row_of(one, shown); });
  }

  Row row_of(const json::Value& one, OutputFormat shown) const {
    const auto bytes = [&](std::string_view name) {
      const std::string text = bytes_of(one, name).value_or("");
      return shown == OutputFormat::raw ? Cell(escaped(text, text.size())) : Cell::of_bytes(text);
    };
    Row row = {bytes(is_election_ ? "election" : "lock"), cell(one.find("token")),
               cell(one.find("ttl_ms")), cell(one.find("waiters"))};
    if (is_election_) row.push_back(bytes("value"));
    return row;
  }

  // ---- with a program

  Acquisition::Plan plan() const {
    std::optional<Duration> wait = options_.wait;
    if (wait) wait = std::max(Duration{}, began_ + *wait - monotonic_now());
    return {acquire_call(), wait, options_.cluster.time_limit()};
  }

  int run_program() {
    auto endpoints = endpoints_of(options_.cluster);
    if (!endpoints) return kExitUsage;
    endpoints_ = std::move(*endpoints);
    Signals signals;
    if (signals.fd() < 0) {
      complain("no file descriptor is left");
      return kExitError;
    }
    while (true) {
      if (const auto code = acquire(signals)) return *code;
      // After a wait, the client does not know how long ago the lock was granted. A renewal proves
      // that it is still held, and restarts its ttl.
      const Instant now = monotonic_now();
      const bool is_fresh = now < asked_at_ + options_.ttl / 3;
      Renewal renewals(endpoints_, call_of_holder("PUT", token_), options_.ttl,
                       is_fresh ? asked_at_ : now);
      if (is_fresh || renew_first(renewals, signals)) return hold(renewals, signals);
      if (options_.wait && monotonic_now() >= began_ + *options_.wait) {
        complain(fmt::format("{} was lost before the command started", what()));
        return kExitUnavailable;
      }
    }
  }

  // The exit code if it was not granted.
  std::optional<int> acquire(Signals& signals) {
    Acquisition acquisition(endpoints_, plan());
    std::optional<Outcome> outcome;
    while (!(outcome = acquisition.run(signals.fd()))) {
      const auto signal = signals.next();
      if (signal && *signal != SIGCHLD) die_by(*signal);
    }
    if (const int code = report(*outcome, Access::read, OutputFormat::raw)) return code;
    const auto document = parse_reply(*outcome);
    if (!document) return kExitError;
    const auto token = document->root().find("token").uint64();
    if (!token) return complain_of_shape(*outcome, "token");
    token_ = *token;
    asked_at_ = acquisition.asked_at();
    endpoints_ = acquisition.endpoints();
    // Renewals and the release begin at the node that is known to work.
    std::rotate(endpoints_.begin(),
                std::find(endpoints_.begin(), endpoints_.end(), outcome->server), endpoints_.end());
    return std::nullopt;
  }

  // Returns false if the lock is lost already.
  bool renew_first(Renewal& renewals, Signals& signals) {
    renewals.renew_now();
    while (true) {
      switch (renewals.wait(signals.fd())) {
        case Renewal::Event::renewed: return true;
        case Renewal::Event::lost: return false;
        case Renewal::Event::readable: {
          const auto signal = signals.next();
          if (!signal || *signal == SIGCHLD) break;
          give_back(renewals);
          die_by(*signal);
        }
      }
    }
  }

  int hold(Renewal& renewals, Signals& signals) {
    const int error = program_.start({.words = options_.program,
                                      .environment = {{"VESPER_FENCE", std::to_string(token_)}},
                                      .group = ChildProcess::Group::own});
    if (error != 0) {
      complain(
          fmt::format("cannot run \"{}\": {}", escaped(options_.program[0]), std::strerror(error)));
      give_back(renewals);
      return exit_code_of_start(error);
    }
    while (!program_.has_ended()) {
      const Renewal::Event event = renewals.wait(signals.fd());
      if (event == Renewal::Event::lost) return end_program(renewals.why_lost(), signals);
      pass_on(signals);
    }
    give_back(renewals);
    return program_.exit_code();
  }

  void pass_on(Signals& signals) {
    while (const auto signal = signals.next())
      if (*signal != SIGCHLD) program_.send(*signal);
  }

  // The lock is lost. Others may hold it now, so the program has to end.
  int end_program(const std::string& why, Signals& signals) {
    complain(fmt::format("{} was lost, so the command is ended: {}", what(), why));
    program_.send(SIGTERM);
    program_.send(SIGCONT);  // a stopped process does not see SIGTERM
    const Instant kill_at = monotonic_now() + kGrace;
    while (monotonic_now() < kill_at && !(program_.has_ended() && !program_.has_group())) {
      run_until({}, signals.fd(), std::min(kill_at, monotonic_now() + kGroupCheck));
      pass_on(signals);
    }
    program_.send(SIGKILL);
    while (!program_.has_ended()) run_until({}, signals.fd(), monotonic_now() + kGroupCheck);
    return kExitLockLost;
  }

  // Releases what this command has acquired. If that fails, it lapses by itself.
  void give_back(const Renewal& renewals) const {
    Call made = call_of_holder("DELETE", token_);
    made.idempotency_key = make_idempotency_key();
    const Outcome outcome = call_cluster(renewals.endpoints(), made, options_.cluster.time_limit());
    json::Document document;
    if (outcome.kind != Outcome::Kind::reply || outcome.reply.status != 200 ||
        document.parse(outcome.reply.body)) {
      note(fmt::format("{} could not be released; it lapses within {} ms", what(),
                       options_.ttl.ms()));
    } else if (!document.root().find("released").boolean().value_or(true)) {
      note(fmt::format("{} was lost before the command ended", what()));
    }
  }

  const LockOptions& options_;
  const bool is_election_;
  const Instant began_ = monotonic_now();
  std::vector<HostPort> endpoints_;
  std::uint64_t token_ = 0;
  Instant asked_at_;
  ChildProcess program_;
};

}  // namespace

int run_lock(const LockOptions& options) {
  return LockCommand(options).run();
}

}  // namespace vesper::app
