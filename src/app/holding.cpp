#include "app/holding.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "app/kv_command.hpp"
#include "app/query.hpp"

namespace vesper::app {
namespace {

// The pause between two rounds over all endpoints.
constexpr Duration kPause = milliseconds(200);
// How long the first request waits in the queue, and a later one at most. Then the next one takes
// over its place, at another endpoint if there is one: this one may have stopped without closing
// the connection.
constexpr Duration kFirstAsk = seconds(2);
constexpr Duration kLongestAsk = seconds(20);
// How much longer than ?wait= an answer may take.
constexpr Duration kLate = seconds(5);
// How long one renewal may take.
constexpr Duration kRenewWithin = seconds(5);
// A request that was open for this long had reached a server that works.
constexpr Duration kServed = seconds(1);

std::string timeout_text(Duration time) {
  return fmt::format("{}ms", std::clamp(time.ms(), kLeastTimeoutMs, kMostTimeoutMs));
}

std::string code_of(const Reply& reply) {
  return reply.status == 200 ? std::string() : read_problem(reply.body).code;
}

}  // namespace

// ---- Acquisition --------------------------------------------------------------------------

Acquisition::Acquisition(std::vector<HostPort> endpoints, Plan plan)
    : endpoints_(std::move(endpoints)), plan_(std::move(plan)), ask_for_(kFirstAsk) {
  const Instant now = monotonic_now();
  if (plan_.wait && plan_.wait->ns != 0) wait_until_ = now + *plan_.wait;
  give_up_at_ = now + plan_.patience;
  begin_place();
}

void Acquisition::begin_place() {
  plan_.call.idempotency_key = make_idempotency_key();
  asked_at_ = {};
}

std::optional<Outcome> Acquisition::run(int fd) {
  while (true) {
    const Instant now = monotonic_now();
    if (exchanges_.empty() && now >= next_attempt_) ask();
    const Woken woken = run_until(exchanges_, fd, exchanges_.empty() ? next_attempt_ : kNever);
    if (woken == Woken::readable) return std::nullopt;
    if (woken != Woken::finished) continue;
    if (auto outcome = take_end()) return outcome;
  }
}

void Acquisition::ask() {
  const HostPort server = endpoints_.current();
  // Before the request: once it has waited in vain, this node may be gone.
  if (waits()) endpoints_.learn_from(server);
  const Instant now = monotonic_now();  // learning takes time
  Query query(plan_.call.query);
  Duration limit = std::max(give_up_at_ - now, milliseconds(kLeastTimeoutMs));
  if (!waits() && endpoints_.size() > 1) limit = limit / 2;
  Call call = plan_.call;
  if (waits()) {
    const Duration left = std::max(wait_until_ - now, milliseconds(1));
    // The server forgets the place when ?wait= is over, so the request ends before.
    const bool is_last = left <= ask_for_;
    query.add("wait", fmt::format("{}ms", is_last ? left.ms() : 2 * ask_for_.ms()));
    limit = is_last ? left + kLate : ask_for_;
    ask_for_ = std::min(ask_for_ * 2, kLongestAsk);
    call.query = query.text();
  }
  if (asked_at_ == Instant{}) asked_at_ = now;
  attempt_at_ = now;
  const std::string target =
      target_of(call, timeout_text(waits() ? std::min(plan_.patience, limit) : limit));
  exchanges_.push_back(std::make_unique<Exchange>(
      server, make_request(server, call.method, target, call.body, call.idempotency_key),
      kConnectTimeout, now + limit));
}

std::optional<Outcome> Acquisition::take_end() {
  const std::unique_ptr<Exchange> exchange = std::move(exchanges_[0]);
  exchanges_.clear();
  const Instant now = monotonic_now();
  endpoints_.go_on();
  was_connected_ |= exchange->end() != Exchange::End::not_connected;
  const bool was_served = waits() && exchange->sent() && now - attempt_at_ >= kServed;
  if (was_served) {
    failures_ = 0;
    give_up_at_ = now + plan_.patience;
  }
  last_.server = exchange->server();
  if (exchange->end() == Exchange::End::reply) {
    last_.reply = exchange->reply();
    last_.detail = exchange->server().url();
    return take_reply();
  }
  if (last_.reply.status == 0 || exchange->end() != Exchange::End::not_connected) {
    last_.reply = {};
    last_.detail = fmt::format("{}: {}", exchange->server().url(), exchange->detail());
  }
  if (exchange->end() == Exchange::End::bad_reply) {
    last_.kind = Outcome::Kind::bad_reply;
    return last_;
  }
  if (was_served && now < wait_until_) return std::nullopt;
  return failed();
}

std::optional<Outcome> Acquisition::take_reply() {
  const std::string code = code_of(last_.reply);
  const Instant now = monotonic_now();
  if (code == "lock_busy" && waits() && now + kPause < wait_until_) {
    // The place was lost.
    begin_place();
    next_attempt_ = now + kPause;
    return std::nullopt;
  }
  if (last_.reply.status == 429 || last_.reply.status == 503) return failed();
  // lock_lost: it was granted, and lost again before an answer arrived.
  const bool was_lost = code == "lock_lost";
  if (was_lost) begin_place();
  if (was_lost || last_.reply.status == 504) {
    last_.detail = fmt::format("{}: {}", last_.detail,
                               describe(read_problem(last_.reply.body), last_.reply.status));
    last_.reply = {};
    return failed();
  }
  last_.kind = Outcome::Kind::reply;
  return last_;
}

// The request was not served. Another one follows, unless it is too late.
std::optional<Outcome> Acquisition::failed() {
  const Instant now = monotonic_now();
  ++failures_;
  const bool ends_round = failures_ % endpoints_.size() == 0;
  const bool all_refused = ends_round && !was_connected_;
  if (ends_round) {
    next_attempt_ = now + kPause;
    endpoints_.learn_from_all();
  }
  if (all_refused || std::max(now, next_attempt_) >= std::min(give_up_at_, wait_until_)) {
    last_.kind = Outcome::Kind::unavailable;
    return last_;
  }
  return std::nullopt;
}

// ---- Renewal ------------------------------------------------------------------------------

Renewal::Renewal(std::vector<HostPort> endpoints, Call call, Duration ttl, Instant granted_at)
    : endpoints_(std::move(endpoints)),
      call_(std::move(call)),
      ttl_(ttl),
      lost_at_(granted_at + ttl),
      next_attempt_(granted_at + ttl / 3) {}

Renewal::Event Renewal::wait(int fd) {
  while (true) {
    const Instant now = monotonic_now();
    if (now >= lost_at_) {
      why_lost_ = last_failure_.empty() ? "it was not renewed in time"
                                        : "it was not renewed in time: " + last_failure_;
      return Event::lost;
    }
    if (exchanges_.empty() && now >= next_attempt_) ask(now);
    const Instant until = exchanges_.empty() ? std::min(next_attempt_, lost_at_) : lost_at_;
    const Woken woken = run_until(exchanges_, fd, until);
    if (woken == Woken::readable) return Event::readable;
    if (woken != Woken::finished) continue;
    if (const auto event = take_end()) return *event;
  }
}

void Renewal::ask(Instant now) {
  const HostPort& server = endpoints_.current();
  const Duration left = lost_at_ - now;
  const Duration share = std::min(endpoints_.size() > 1 ? left / 2 : left, kRenewWithin);
  sent_at_ = now;
  exchanges_.push_back(std::make_unique<Exchange>(
      server, make_request(server, call_.method, target_of(call_, timeout_text(share)), call_.body),
      std::min(kConnectTimeout, share), now + share));
}

std::optional<Renewal::Event> Renewal::take_end() {
  const std::unique_ptr<Exchange> exchange = std::move(exchanges_[0]);
  exchanges_.clear();
  const std::string server = exchange->server().url();
  if (exchange->end() != Exchange::End::reply) {
    last_failure_ = fmt::format("{}: {}", server, exchange->detail());
  } else if (exchange->reply().status == 200) {
    lost_at_ = sent_at_ + ttl_;
    next_attempt_ = sent_at_ + ttl_ / 3;
    failures_ = 0;
    last_failure_.clear();
    endpoints_.learn_from(exchange->server(), std::min(kLearnTimeout, ttl_ / 10));
    return Event::renewed;
  } else {
    const ProblemText problem = read_problem(exchange->reply().body);
    const std::string said = describe(problem, exchange->reply().status);
    if (problem.code == "lock_lost" || problem.code == "lease_not_found") {
      why_lost_ = said;
      return Event::lost;
    }
    last_failure_ = fmt::format("{}: {}", server, said);
  }
  endpoints_.go_on();
  if (++failures_ % endpoints_.size() == 0) {
    next_attempt_ = monotonic_now() + std::min(kPause, ttl_ / 10);
    endpoints_.learn_from_all(std::min(kLearnTimeout, ttl_ / 10));
  }
  return std::nullopt;
}

}  // namespace vesper::app
