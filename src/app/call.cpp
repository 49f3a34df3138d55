// The retry policy of call_cluster(), and how results are reported.
#include "app/call.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "app/cluster_survey.hpp"
#include "app/query.hpp"
#include "base/bytes.hpp"
#include "json/document.hpp"

namespace vesper::app {
namespace {

// The time a refused write needs to be worth another attempt. With less time, the answer might come
// too late, and the user would be told "unknown" instead of "not applied".
constexpr Duration kLeastForWrite = milliseconds(200);
// The pause between two rounds over all endpoints. It doubles each time.
constexpr Duration kFirstPause = milliseconds(50);
constexpr Duration kLongestPause = milliseconds(400);
// How long a write that may have been applied is retried. The cluster remembers a key for 10
// minutes of its own clock, which may run faster than ours, and a server may apply a write up to
// kMostTimeoutMs after it was sent.
constexpr Duration kSendAgainFor = seconds(120);

// The time limit for one endpoint. A server waits for a leader itself, so the first endpoint
// usually gets enough time. Some time is held back in case that endpoint is on the wrong side of a
// partition. A repeatable request leaves half of the time for other endpoints. A write that cannot
// be repeated leaves little, because a longer wait may turn "unknown" into an answer.
Duration share_of(Duration left, bool repeatable, bool has_others) {
  if (!has_others) return left;
  if (repeatable) return left / 2;
  return left - std::min(seconds(1), left / 4);
}

// The server's timeout, which ends a little before the client's so that its answer still arrives.
std::int64_t server_wait_ms(Duration share) {
  const Duration back = std::max(share / 10, std::min(milliseconds(50), share / 2));
  const Duration wait = share - std::min(milliseconds(200), back);
  return std::clamp(wait.ms(), kLeastTimeoutMs, kMostTimeoutMs);
}

std::string request_of(const HostPort& server, const Call& call, Duration share) {
  const std::string target = target_of(call, fmt::format("{}ms", server_wait_ms(share)));
  return make_request(server, call.method, target, call.body, call.idempotency_key);
}

// The result of one attempt, or of one round.
struct Attempt {
  bool decided = false;    // the outcome is final
  bool connected = false;  // some server was reached
};

class ClusterCall {
 public:
  ClusterCall(const std::vector<HostPort>& endpoints, const Call& call, Duration timeout)
      : endpoints_(endpoints),
        call_(call),
        repeatable_(call.access == Access::read || !call.idempotency_key.empty()),
        finish_by_(monotonic_now() + timeout) {}

  Outcome run() {
    Duration pause = kFirstPause;
    while (true) {
      const Attempt round = go_round();
      if (round.decided || !(round.connected || may_be_applied_)) break;
      if (learn()) continue;
      const Instant next = monotonic_now() + pause;
      if (!is_worth_asking(next)) break;
      sleep_until(next);
      pause = std::min(pause * 2, kLongestPause);
    }
    if (may_be_applied_ && outcome_.kind != Outcome::Kind::reply)
      outcome_.kind = Outcome::Kind::unknown;
    if (outcome_.kind == Outcome::Kind::unavailable && outcome_.reply.status == 0 &&
        endpoints_.size() > 1)
      outcome_.detail =
          fmt::format("none of the {} endpoints served the request; the last error: {}",
                      endpoints_.size(), outcome_.detail);
    return std::move(outcome_);
  }

 private:
  bool is_write() const { return call_.access == Access::write; }

  bool is_worth_asking(Instant at) const {
    const bool refused = is_write() && outcome_.reply.status != 0 && !may_be_applied_;
    return finish_by_ - at > (refused ? kLeastForWrite : Duration{});
  }

  // Once, because a call is short. Returns whether there are new endpoints.
  bool learn() {
    const Duration left = finish_by_ - monotonic_now();
    if (has_learned_ || left < kLearnTimeout * 4) return false;
    has_learned_ = true;
    return learn_members(endpoints_, kLearnTimeout);
  }

  Attempt go_round() {
    Attempt round;
    for (const HostPort& server : endpoints_) {
      const Instant now = monotonic_now();
      if (!is_worth_asking(now)) break;
      const Attempt attempt = ask(server, now);
      round.connected |= attempt.connected;
      round.decided = attempt.decided;
      if (round.decided) break;
    }
    return round;
  }

  Attempt ask(const HostPort& server, Instant now) {
    const Duration share = share_of(finish_by_ - now, repeatable_, endpoints_.size() > 1);
    const Instant finish_by = (repeatable_ ? now + share : finish_by_) + call_.waits;
    const std::array exchanges{std::make_unique<Exchange>(server, request_of(server, call_, share),
                                                          kConnectTimeout, finish_by)};
    vesper::app::run(exchanges);
    Exchange& exchange = *exchanges[0];
    const bool sent_write = is_write() && exchange.sent();
    switch (exchange.end()) {
      case Exchange::End::reply: return take_reply(exchange, now);
      case Exchange::End::not_connected: note(exchange); return {false, false};
      case Exchange::End::broken:
        note(exchange);
        if (sent_write) lost_sight(now);
        return {sent_write && !repeatable_, true};
      case Exchange::End::bad_reply:
        note(exchange);
        outcome_.kind = Outcome::Kind::bad_reply;
        if (sent_write) lost_sight(now);
        return {true, true};
      case Exchange::End::none: break;
    }
    VESPER_UNREACHABLE();
  }

  Attempt take_reply(Exchange& exchange, Instant asked_at) {
    const int status = exchange.reply().status;
    outcome_.reply = exchange.reply();
    outcome_.server = exchange.server();
    outcome_.detail = exchange.server().url();
    if (status == 429 || status == 503) return {false, true};
    if (is_write() && repeatable_) {
      if (status == 504) lost_sight(asked_at);
      // Only a result stored with the key covers all attempts. A refusal covers this attempt alone.
      const bool of_all = status == 200 || status == 409 || status == 412;
      if (may_be_applied_ && !of_all) return {false, true};
    }
    outcome_.kind = Outcome::Kind::reply;
    return {true, true};
  }

  // A write was sent at `sent_at` or shortly after. It may be in transit or already applied.
  void lost_sight(Instant sent_at) {
    if (!may_be_applied_) finish_by_ = std::min(finish_by_, sent_at + kSendAgainFor);
    may_be_applied_ = true;
  }

  void note(const Exchange& exchange) {
    // An answer from a server is more informative than a later endpoint that cannot be reached.
    if (outcome_.reply.status != 0 && exchange.end() == Exchange::End::not_connected) return;
    outcome_.reply = {};
    outcome_.detail = fmt::format("{}: {}", exchange.server().url(), exchange.detail());
  }

  std::vector<HostPort> endpoints_;
  bool has_learned_ = false;
  const Call& call_;
  const bool repeatable_;
  Instant finish_by_;
  bool may_be_applied_ = false;  // a write was sent, and no answer has told its outcome
  Outcome outcome_{.detail = "the timeout passed before any endpoint was asked"};
};

}  // namespace

std::string target_of(const Call& call, std::string_view timeout) {
  Query query(call.query);
  if (call.takes_timeout && !timeout.empty()) query.add("timeout", timeout);
  return query.text().empty() ? call.path : fmt::format("{}?{}", call.path, query.text());
}

ProblemText read_problem(std::string_view body) {
  json::Document document;
  if (document.parse(body)) return {};
  return read_problem(document.root());
}

ProblemText read_problem(const json::Value& problem) {
  const auto text = [&](std::string_view name) {
    return std::string(problem.find(name).string().value_or(""));
  };
  const auto number = [&](std::string_view name) {
    return problem.find(name).uint64().value_or(0);
  };
  return {text("code"), text("detail"), text("hint"), number("limit"), number("line")};
}

std::string describe(const ProblemText& problem, int status) {
  const std::string code =
      problem.code.empty() ? fmt::format("status {}", status) : escaped(problem.code, 100);
  if (problem.detail.empty()) return code;
  return fmt::format("{} ({})", escaped(problem.detail, 1000), code);
}

Outcome call_cluster(const std::vector<HostPort>& endpoints, const Call& call, Duration timeout) {
  return ClusterCall(endpoints, call, timeout).run();
}

int exit_code_of(int status, std::string_view code, Access access) {
  if (status == 200) return kExitOk;
  if (status == 404 && code == "key_not_found") return kExitNotFound;
  if (status == 401 || code == "forbidden") return kExitUnauthorized;
  constexpr std::array kConflicts = {"lock_busy",     "change_in_progress", "would_lose_quorum",
                                     "address_taken", "too_many_members",   "no_voter"};
  if (status == 412 || std::find(kConflicts.begin(), kConflicts.end(), code) != kConflicts.end())
    return kExitPrecondition;
  if (status == 429 || status == 503 || status == 507) return kExitUnavailable;
  // 504, 500 and unknown statuses do not say whether the write was applied.
  if (access == Access::write && status >= 500 && status != 501 && status != 505)
    return kExitUnknown;
  return kExitError;
}

int report(const Outcome& outcome, Access access, OutputFormat format) {
  if (outcome.reply.status != 0) {
    const ProblemText problem = read_problem(outcome.reply.body);
    const int exit_code = exit_code_of(outcome.reply.status, problem.code, access);
    const bool is_last_word = outcome.kind != Outcome::Kind::unknown;
    if (is_last_word && exit_code == kExitOk) return exit_code;
    if (format == OutputFormat::json && !problem.code.empty()) {
      print_error(outcome.reply.body);
    } else {
      complain(describe(problem, outcome.reply.status));
      if (is_last_word && !problem.hint.empty()) hint(escaped(problem.hint, 1000));
    }
    if (is_last_word) return exit_code;
  } else {
    complain(outcome.detail);
  }
  switch (outcome.kind) {
    case Outcome::Kind::unknown:
      hint(
          "the write was sent, but its outcome is unknown: read the key to see whether it took "
          "effect");
      return kExitUnknown;
    case Outcome::Kind::unavailable:
      hint("check that the cluster is up and that --endpoints or VESPER_ENDPOINTS names its nodes");
      return kExitUnavailable;
    case Outcome::Kind::bad_reply:
    case Outcome::Kind::reply: break;
  }
  return kExitError;
}

}  // namespace vesper::app
