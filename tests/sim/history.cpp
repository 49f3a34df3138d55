#include "sim/history.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace vesper::sim {
std::string History::name(const Tracked& tracked) {
  static constexpr const char* kNames[] = {"put", "delete", "get"};
  const Operation& o = tracked.what;
  return fmt::format("{} {} '{}'{} (connection {}, request {}, at {:.3f} ms)",
                     kNames[static_cast<int>(o.kind)], o.key, o.value.substr(0, 20),
                     o.token.empty() ? "" : " as " + o.token, o.connection, o.request,
                     static_cast<double>(o.invoked) / 1e6);
}

std::size_t History::invoke(Operation operation, std::uint64_t command) {
  Tracked tracked{std::move(operation), command, End::open, 0, floor_, 0, 0};
  if (tracked.what.kind != Operation::Kind::get) {
    Written& written = written_[command];
    if (written.attempts++ == 0) written.first = operations_.size();
    tracked.since = written.applied.size();
  }
  operations_.push_back(std::move(tracked));
  return operations_.size() - 1;
}

bool History::names(const Expectation& expectation, const Seen& seen) {
  if (!seen.present) return false;
  if (expectation.any) return true;
  return std::find(expectation.revisions.begin(), expectation.revisions.end(), seen.revision) !=
         expectation.revisions.end();
}

// Applies a write as the documentation describes it.
Outcome History::apply(const Operation& operation) {
  std::vector<Version>& versions = versions_[operation.key];
  const Seen before = versions.empty() ? Seen{} : versions.back().seen;
  Outcome outcome;
  outcome.revision = revision_;
  outcome.current_revision = before.revision;
  const bool holds = (!operation.if_match || names(*operation.if_match, before)) &&
                     (!operation.if_none_match || !names(*operation.if_none_match, before));
  if (!holds) {
    outcome.kind = Outcome::Kind::failed;
    return outcome;
  }
  if (operation.kind == Operation::Kind::remove) {
    if (!before.present) return outcome;
    versions.push_back({++revision_, Seen{}});
    --present_;
    return {Outcome::Kind::removed, revision_, 0, 0, 0, false};
  }
  ++revision_;
  Seen after{true, operation.value, operation.json, revision_, revision_, 1};
  if (before.present) {
    after.create_revision = before.create_revision;
    after.version = before.version + 1;
  } else {
    ++present_;
  }
  outcome = {Outcome::Kind::put, revision_, after.create_revision, after.version, revision_, false};
  versions.push_back({revision_, std::move(after)});
  return outcome;
}

bool History::is_full() const {
  if (tokens_.size() < most_kept_) return false;
  std::size_t kept = 0;
  for (const auto& [name, token] : tokens_) kept += !over(token, stamp_, passed_);
  return kept >= most_kept_;
}

// The first write of an idempotency key is carried out. A write within ten minutes of the last one
// gets its result. If the table is full, nothing is carried out, and the key stays new.
Outcome History::apply_once(const Operation& operation) {
  if (operation.token.empty()) return apply(operation);
  const auto at = tokens_.find(operation.token);
  if (at == tokens_.end() || over(at->second, stamp_, passed_)) {
    if (is_full()) {
      refuses_ = true;
      return {Outcome::Kind::full, revision_, 0, 0, 0, false};
    }
    room_again_ += std::exchange(refuses_, false);
    forgotten_ += at != tokens_.end();
    const Outcome outcome = apply(operation);
    tokens_[operation.token] = {operation.body, stamp_, passed_, outcome};
    decided_.push_back(operation.token);
    return outcome;
  }
  if (at->second.body != operation.body) return {Outcome::Kind::reused, revision_, 0, 0, 0, false};
  kept_over_outages_ += passed_.now - at->second.asked.now >= kAnswersKept;
  at->second.stamp = stamp_;
  at->second.asked = passed_;
  Outcome again = at->second.outcome;
  again.replayed = true;
  return again;
}

Violation History::committed(std::uint64_t command, std::int64_t stamp, const Passed& passed) {
  const auto at = written_.find(command);
  if (at == written_.end()) return "a command that no client sent is committed";
  Written& written = at->second;
  const Tracked& first = operations_[written.first];
  if (stamp < stamp_)
    return fmt::format("K2: log time falls from {} to {}: {}", stamp_, stamp, name(first));
  stamp_ = stamp;
  passed_ = passed;
  const std::size_t times = written.applied.size() + 1;
  if (times > written.attempts)
    return fmt::format("K1: applied twice: {} times, sent {} times: {}", times, written.attempts,
                       name(first));
  if (times + written.refused > written.attempts)
    return fmt::format("refused and yet applied: {}", name(first));
  const Outcome outcome = apply_once(first.what);
  written.applied.push_back({outcome, revision_, false});
  return std::nullopt;
}

// A point in the order may not lie before one that was answered before this operation was invoked.
Violation History::sees(Tracked& tracked, std::uint64_t revision, Effect effect) {
  tracked.end = End::ok;
  tracked.seen = revision;
  tracked.seen_at_most = std::max(tracked.seen_at_most, revision);
  if (revision < tracked.floor || (effect == Effect::new_revision && revision == tracked.floor))
    return fmt::format("stale: saw revision {} after {} had been returned to a client: {}",
                       revision, tracked.floor, name(tracked));
  return std::nullopt;
}

void History::tell(std::uint64_t revision, std::int64_t now) {
  if (revision <= floor_) return;
  floor_ = revision;
  told_.push_back({now, revision});
}

Violation History::wrote(std::size_t operation, const Outcome& outcome, std::int64_t now) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  std::vector<Applied>& applied = written_[tracked.command].applied;
  // One of the entries committed since this write was invoked, and not yet matched to a reply.
  Applied* mine = nullptr;
  const Applied* other = nullptr;
  std::uint64_t least = UINT64_MAX;
  for (std::size_t i = tracked.since; i < applied.size(); ++i) {
    if (!applied[i].told) other = &applied[i];
    if (applied[i].outcome != outcome) continue;
    least = std::min(least, applied[i].at);
    tracked.seen_at_most = applied[i].at;
    if (mine == nullptr && !applied[i].told) mine = &applied[i];
  }
  if (mine == nullptr && other == nullptr)
    return fmt::format("L11: acknowledged and not committed: {}", name(tracked));
  if (mine == nullptr)
    return fmt::format(
        "wrong outcome (kind {}, revision {}{}; expected: kind {}, revision {}{}): {}",
        static_cast<int>(outcome.kind), outcome.revision, outcome.replayed ? ", again" : "",
        static_cast<int>(other->outcome.kind), other->outcome.revision,
        other->outcome.replayed ? ", again" : "", name(tracked));
  mine->told = true;
  const bool changes = !outcome.replayed && (outcome.kind == Outcome::Kind::put ||
                                             outcome.kind == Outcome::Kind::removed);
  auto wrong = sees(tracked, least, changes ? Effect::new_revision : Effect::none);
  tell(outcome.revision, now);
  return wrong;
}

// What a stale read misses, no client was told before the instant that the read names.
Violation History::judge_stale(const Tracked& tracked, std::uint64_t revision,
                               const Age& age) const {
  if (tracked.what.max_staleness && age.staleness > *tracked.what.max_staleness)
    return fmt::format("K8: {} ns old, but max_staleness is {}: {}", age.staleness,
                       *tracked.what.max_staleness, name(tracked));
  if (!age.as_of) return std::nullopt;
  const auto before = [](const Told& told, std::int64_t when) { return told.when < when; };
  const auto behind = std::lower_bound(told_.begin(), told_.end(), *age.as_of, before);
  if (behind == told_.begin() || std::prev(behind)->revision <= revision) return std::nullopt;
  return fmt::format(
      "K8: read at revision {} and {:.3f} ms old at most, but {} had been returned at "
      "{:.3f} ms, before {:.3f} ms: {}",
      revision, static_cast<double>(age.staleness) / 1e6, std::prev(behind)->revision,
      static_cast<double>(std::prev(behind)->when) / 1e6, static_cast<double>(*age.as_of) / 1e6,
      name(tracked));
}

Violation History::read(std::size_t operation, const Seen& seen, std::uint64_t revision,
                        std::int64_t now, const std::optional<Age>& age) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  if (revision > revision_)
    return fmt::format("read at revision {}, committed is {}: {}", revision, revision_,
                       name(tracked));
  if (revision < tracked.what.min_revision)
    return fmt::format("min_revision: read at revision {}, but {} was required: {}", revision,
                       tracked.what.min_revision, name(tracked));
  Seen right;
  if (const auto at = versions_.find(tracked.what.key); at != versions_.end())
    for (auto v = at->second.rbegin(); v != at->second.rend(); ++v)
      if (v->at <= revision) {
        right = v->seen;
        break;
      }
  if (seen != right)
    return fmt::format("wrong at revision {}: read '{}' of revision {}, expected '{}' of {}: {}",
                       revision, seen.value.substr(0, 20), seen.revision, right.value.substr(0, 20),
                       right.revision, name(tracked));
  if (tracked.what.level == Operation::Level::stale) {
    tracked.floor = 0;
    if (age)
      if (auto wrong = judge_stale(tracked, revision, *age)) return wrong;
    if (!age && tracked.what.max_staleness)
      return fmt::format("K8: the age of this read is unknown: {}", name(tracked));
  }
  auto wrong = sees(tracked, revision, Effect::none);
  tell(revision, now);
  return wrong;
}

Violation History::refused(std::size_t operation) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  tracked.end = End::refused;
  if (tracked.what.kind == Operation::Kind::get) return std::nullopt;
  Written& written = written_[tracked.command];
  ++written.refused;
  if (written.applied.size() + written.refused > written.attempts)
    return fmt::format("applied and yet refused: {}", name(tracked));
  return std::nullopt;
}

void History::unknown(std::size_t operation) {
  operations_[operation].end = End::unknown;
}

Violation History::judge_connections() const {
  struct Last {
    std::uint64_t seen = 0;
    std::size_t operation = 0;
  };
  // operations_ is in the order of invocation, so a connection's requests are in their order.
  std::unordered_map<std::uint64_t, Last> last;
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const Tracked& tracked = operations_[i];
    if (tracked.end != End::ok) continue;
    Last& before = last[tracked.what.connection];
    if (tracked.seen_at_most < before.seen)
      return fmt::format("order: {} took effect before {}, which its connection sent first",
                         name(tracked), name(operations_[before.operation]));
    before = {tracked.seen, i};
  }
  return std::nullopt;
}

Seen History::at_end(std::string_view key) const {
  const auto at = versions_.find(key);
  return at == versions_.end() || at->second.empty() ? Seen{} : at->second.back().seen;
}

}  // namespace vesper::sim
