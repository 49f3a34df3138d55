#include "sim/history.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace vesper::sim {

std::string_view name_of(Operation::Kind kind) {
  static constexpr std::string_view kNames[] = {
      "put",  "delete",  "write", "transaction", "compaction",         "claim", "token", "get",
      "past", "history", "range", "stream",      "reading transaction"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string History::name(const Tracked& tracked) {
  const Operation& o = tracked.what;
  return fmt::format("{} {} '{}'{} (connection {}, request {}, at {:.3f} ms)", name_of(o.kind),
                     o.key, o.value.substr(0, 20), o.token.empty() ? "" : " as " + o.token,
                     o.connection, o.request, static_cast<double>(o.invoked) / 1e6);
}

std::size_t History::invoke(Operation operation, std::uint64_t command) {
  Tracked tracked{std::move(operation), command, End::open, 0, floor_, oldest_floor_, false, 0, 0};
  if (const auto& who = tracked.what.who) tracked.is_barred = revoked_.is_barred(who->id);
  if (tracked.what.kind == Operation::Kind::access &&
      tracked.what.access.kind == AccessAct::Kind::disable)
    revoked_.may_disable();
  if (!tracked.what.is_read()) {
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

void History::commit(const Model::Result& result) {
  model_.commit(result.writes);
  stamps_.resize(model_.revision() + 1, stamp_);
  peak_ = std::max(peak_, model_.history_cost());
}

Outcome History::compact(std::uint64_t revision) {
  Outcome outcome;
  outcome.revision = model_.revision();
  if (revision > model_.revision()) {
    outcome.kind = Outcome::Kind::future;
  } else if (revision < model_.oldest()) {
    outcome.kind = Outcome::Kind::compacted;
    outcome.text = fmt::format("{}", model_.oldest());
  } else {
    if (revision > model_.oldest()) {
      model_.compact(revision);
      peak_before_ = std::exchange(peak_, model_.history_cost());
    }
    outcome.kind = Outcome::Kind::done;
    outcome.text = fmt::format("oldest {}", model_.oldest());
  }
  return outcome;
}

// Applies a write as the documentation describes it.
Outcome History::apply(const Operation& operation) {
  Outcome outcome = write(operation);
  outcome.time = stamp_;
  return outcome;
}

Outcome History::write(const Operation& operation) {
  using Kind = Outcome::Kind;
  if (operation.kind == Operation::Kind::compact) return compact(operation.at);
  if (operation.kind == Operation::Kind::access) return model_.carry_out(operation.access);
  if (const auto& fence = operation.fence;
      fence && !model_.was_held(fence->lock.name, fence->token, model_.revision())) {
    const Holdings& held = model_.holdings();
    const std::uint64_t of_lock = held.token_of({Space::locks, fence->lock.name});
    return model_.refuse(
        Kind::fenced, of_lock != 0 ? of_lock : held.token_of({Space::elections, fence->lock.name}));
  }
  if (operation.kind == Operation::Kind::claim)
    return model_.carry_out(operation.claim, operation.token);
  Outcome outcome;
  outcome.revision = model_.revision();
  const Seen before = model_.now(operation.key);
  const bool holds = (!operation.if_match || names(*operation.if_match, before)) &&
                     (!operation.if_none_match || !names(*operation.if_none_match, before));
  if (!holds) {
    outcome.kind = Kind::failed;
    outcome.current_revision = before.revision;
    return outcome;
  }
  const std::size_t most = operation.token.empty() ? Model::kMostReply : Model::kMostKeptReply;
  Act act;
  if (operation.kind == Operation::Kind::put) {
    act.kind = Act::Kind::put;
    act.key = operation.key;
    act.value = operation.value;
    act.json = operation.json;
  } else if (operation.kind == Operation::Kind::remove) {
    act.kind = Act::Kind::remove;
    act.span = Span::of_key(operation.key);
  }
  const Model::Result result =
      operation.kind == Operation::Kind::txn
          ? model_.evaluate(*operation.txn, model_.present(), most)
          : model_.evaluate(operation.kind == Operation::Kind::act ? operation.act : act,
                            model_.present(), most);
  commit(result);
  outcome.revision = model_.revision();
  outcome.kind = result.kind;
  if (operation.kind == Operation::Kind::put && result.kind == Kind::done) {
    const Seen& after = result.writes.front().second;
    return {Kind::put, after.revision, after.create_revision, after.version, after.revision, false};
  }
  if (operation.kind == Operation::Kind::remove)
    return {result.writes.empty() ? Kind::absent : Kind::removed, outcome.revision, 0, 0, 0, false};
  outcome.text = result.text;
  return outcome;
}

// Whether the outcome is a decision, which a retry with the same idempotency key gets again.
bool History::is_kept(Outcome::Kind kind) {
  using Kind = Outcome::Kind;
  return kind == Kind::put || kind == Kind::removed || kind == Kind::absent ||
         kind == Kind::failed || kind == Kind::done || kind == Kind::not_an_integer ||
         kind == Kind::out_of_range || kind == Kind::no_lease || kind == Kind::busy ||
         kind == Kind::lost || kind == Kind::fenced;
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
  if (const auto kind = refusal(operation)) return {*kind, revision(), 0, 0, 0, false};
  if (operation.token.empty()) return apply(operation);
  const auto at = tokens_.find(operation.token);
  if (at == tokens_.end() || over(at->second, stamp_, passed_)) {
    if (is_full()) {
      refuses_ = true;
      return {Outcome::Kind::full, revision(), 0, 0, 0, false};
    }
    room_again_ += std::exchange(refuses_, false);
    const Outcome outcome = apply(operation);
    if (!is_kept(outcome.kind)) return outcome;
    forgotten_ += at != tokens_.end();
    tokens_[operation.token] = {operation.body, operation.who, stamp_, passed_, outcome};
    decided_.push_back(operation.token);
    return outcome;
  }
  if (at->second.body != operation.body || at->second.who != operation.who)
    return {Outcome::Kind::reused, revision(), 0, 0, 0, false};
  kept_over_outages_ += passed_.now - at->second.asked.now >= kAnswersKept;
  at->second.stamp = stamp_;
  at->second.asked = passed_;
  Outcome again = at->second.outcome;
  // The first answer about a lease or a lock may be outdated, so a retry gets the present one.
  if (operation.kind == Operation::Kind::claim)
    again = model_.repeat(operation.claim, operation.token, again);
  again.replayed = true;
  return again;
}

Violation History::committed(std::uint64_t command, std::int64_t stamp, const Passed& passed,
                             std::uint64_t index) {
  const auto at = written_.find(command);
  if (at == written_.end()) return "a command that no client sent is committed";
  Written& written = at->second;
  const Tracked& first = operations_[written.first];
  if (auto wrong = comes_at(stamp, passed, index, name(first))) return wrong;
  const std::size_t times = written.applied.size() + 1;
  if (times > written.attempts)
    return fmt::format("K1: applied twice: {} times, sent {} times: {}", times, written.attempts,
                       name(first));
  if (times + written.refused > written.attempts)
    return fmt::format("refused and yet applied: {}", name(first));
  const std::uint64_t before = revision();
  const Outcome outcome = apply_once(first.what);
  if (first.what.kind == Operation::Kind::access && outcome.kind == Outcome::Kind::done)
    revoked_.follow(model_.holdings(), revision());
  const bool waits = outcome.text.starts_with("queued");
  written.applied.push_back(
      {outcome, revision(), model_.oldest(), waits, revision() != before, false});
  note_gone();
  return std::nullopt;
}

Violation History::comes_at(std::int64_t stamp, const Passed& passed, std::uint64_t index,
                            const std::string& what) {
  if (stamp < stamp_)
    return fmt::format("K2: log time falls from {} to {}: {}", stamp_, stamp, what);
  stamp_ = stamp;
  passed_ = passed;
  model_.begin({stamp, index});
  return std::nullopt;
}

// A compaction that no client asked for: the history has reached one of its bounds.
Violation History::may_compact(std::uint64_t to) const {
  if (to <= model_.oldest() || to > revision()) return std::nullopt;
  if (revision() - to + 1 >= bounds_.keep_revisions) return std::nullopt;
  if (std::max(peak_, peak_before_) > bounds_.keep_bytes) return std::nullopt;
  if (stamps_[to] <= stamp_ - bounds_.keep_time) return std::nullopt;
  return fmt::format(
      "H5: compacted to {} although no bound was reached: revision {}, {} bytes of history, {} ns "
      "old",
      to, revision(), model_.history_cost(), stamp_ - stamps_[to]);
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
  Applied* waited = nullptr;
  std::uint64_t least = UINT64_MAX, oldest = UINT64_MAX;
  for (std::size_t i = tracked.since; i < applied.size(); ++i) {
    if (!applied[i].told) other = &applied[i];
    if (applied[i].waits && waited == nullptr && !applied[i].told) waited = &applied[i];
    if (applied[i].waits || applied[i].outcome != outcome) continue;
    least = std::min(least, applied[i].at);
    oldest = std::min(oldest, applied[i].oldest);
    tracked.seen_at_most = applied[i].at;
    if (mine == nullptr && !applied[i].told) mine = &applied[i];
  }
  if (mine == nullptr && other == nullptr)
    return fmt::format("L11: acknowledged and not committed: {}", name(tracked));
  if (mine == nullptr && waited != nullptr) return judge_waited(tracked, *waited, outcome, now);
  if (mine == nullptr)
    return fmt::format(
        "wrong outcome (kind {}, revision {}{} {}; expected: kind {}, revision {}{} {}): {}",
        static_cast<int>(outcome.kind), outcome.revision, outcome.replayed ? ", again" : "",
        outcome.text, static_cast<int>(other->outcome.kind), other->outcome.revision,
        other->outcome.replayed ? ", again" : "", other->outcome.text, name(tracked));
  mine->told = true;
  if (const auto& fence = tracked.what.fence;
      fence && !fence->guessed && mine->changed && !outcome.replayed)
    if (auto broken = fenced_.took_effect(fence->lock, fence->token, outcome.revision))
      return broken;
  if (tracked.what.kind == Operation::Kind::access) revoked_.tell(outcome.revision);
  if (tracked.what.who && mine->changed && !outcome.replayed)
    if (auto broken = revoked_.took_effect(*tracked.what.who, outcome.revision)) return broken;
  auto wrong = sees(tracked, least, mine->changed ? Effect::new_revision : Effect::none);
  oldest_floor_ = std::max(oldest_floor_, oldest);
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

Violation History::judge_read(Tracked& tracked, std::uint64_t revision, std::int64_t now,
                              const std::optional<Age>& age) {
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  if (tracked.is_barred && tracked.what.level != Operation::Level::stale &&
      !revoked_.is_disabling())
    return fmt::format("A2: a revoked token reads: {}", name(tracked));
  if (revision > this->revision())
    return fmt::format("read at revision {}, committed is {}: {}", revision, this->revision(),
                       name(tracked));
  if (revision < tracked.what.min_revision)
    return fmt::format("min_revision: read at revision {}, but {} was required: {}", revision,
                       tracked.what.min_revision, name(tracked));
  if (tracked.what.level == Operation::Level::stale) {
    tracked.floor = tracked.oldest_floor = 0;
    if (age)
      if (auto wrong = judge_stale(tracked, revision, *age)) return wrong;
    if (!age && tracked.what.max_staleness)
      return fmt::format("K8: the age of this read is unknown: {}", name(tracked));
  }
  auto wrong = sees(tracked, revision, Effect::none);
  tell(revision, now);
  return wrong;
}

Violation History::read(std::size_t operation, const Seen& seen, std::uint64_t revision,
                        std::int64_t now, const std::optional<Age>& age) {
  Tracked& tracked = operations_[operation];
  auto wrong = judge_read(tracked, revision, now, age);
  const Seen right = model_.at(tracked.what.key, revision);
  if (wrong || seen == right) return wrong;
  return fmt::format("wrong at revision {}: read '{}' of revision {}, right is '{}' of {}: {}",
                     revision, seen.value.substr(0, 20), seen.revision, right.value.substr(0, 20),
                     right.revision, name(tracked));
}

Violation History::read_unchanged(std::size_t operation, std::uint64_t revision, std::int64_t now,
                                  const std::optional<Age>& age) {
  return judge_read(operations_[operation], revision, now, age);
}

// What a server in this state must answer.
std::string History::right_answer(const Operation& operation, const Model::View& view) const {
  const auto unreadable = [&](std::uint64_t revision) -> std::string {
    if (revision > view.revision) return fmt::format("future {}", view.oldest);
    if (revision < view.oldest) return fmt::format("compacted {}", view.oldest);
    return {};
  };
  switch (operation.kind) {
    case Operation::Kind::past: {
      const std::string wrong = unreadable(operation.at);
      if (!wrong.empty()) return wrong;
      return text_of_get(text_of(operation.key, model_.at(operation.key, operation.at), true));
    }
    case Operation::Kind::history: return model_.history(operation.key, operation.at, view);
    case Operation::Kind::page:
    case Operation::Kind::stream: {
      const std::uint64_t pinned =
          operation.act.revision != 0 ? operation.act.revision : view.revision;
      const std::string wrong = unreadable(pinned);
      if (!wrong.empty()) return wrong;
      if (operation.kind == Operation::Kind::stream) return fmt::format("stream at {}", pinned);
      RangeText page = model_.range(operation.act, pinned);
      if (operation.counted) page.count = *operation.counted;
      page.resume.clear();  // it may lie behind keys that do not exist; see World::on_page
      return fmt::format("page at {}: {}", pinned, page.text());
    }
    case Operation::Kind::read_txn: {
      const Model::Result result = model_.evaluate(*operation.txn, view, Model::kMostReply);
      return fmt::format("{} {}", static_cast<int>(result.kind), result.text);
    }
    case Operation::Kind::put:
    case Operation::Kind::remove:
    case Operation::Kind::act:
    case Operation::Kind::txn:
    case Operation::Kind::compact:
    case Operation::Kind::claim:
    case Operation::Kind::access:
    case Operation::Kind::get: break;
  }
  return {};
}

Violation History::read_more(std::size_t operation, const std::string& text, std::uint64_t revision,
                             std::int64_t now, const std::optional<Age>& age) {
  Tracked& tracked = operations_[operation];
  if (auto wrong = judge_read(tracked, revision, now, age)) return wrong;
  std::string right;
  std::uint64_t oldest_told = UINT64_MAX;
  for (const std::uint64_t oldest : model_.oldest_at(revision)) {
    if (oldest < tracked.oldest_floor) continue;
    right = right_answer(tracked.what, {revision, oldest});
    if (text == right) oldest_told = oldest;
  }
  if (oldest_told == UINT64_MAX)
    return fmt::format("wrong at revision {}: read {}, right is {}: {}", revision, text, right,
                       name(tracked));
  if (tracked.what.level != Operation::Level::stale)
    oldest_floor_ = std::max(oldest_floor_, oldest_told);
  return std::nullopt;
}

Violation History::refused(std::size_t operation) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  tracked.end = End::refused;
  if (tracked.what.is_read()) return std::nullopt;
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

}  // namespace vesper::sim
