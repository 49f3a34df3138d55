#include "sim/history.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::sim {

std::string History::name(const Tracked& tracked) {
  static constexpr const char* kNames[] = {"put", "delete", "get"};
  const Operation& o = tracked.what;
  return fmt::format("{} {} '{}' (connection {}, request {}, at {:.3f} ms)",
                     kNames[static_cast<int>(o.kind)], o.key, o.value.substr(0, 20), o.connection,
                     o.request, static_cast<double>(o.invoked) / 1e6);
}

std::size_t History::invoke(Operation operation, std::uint64_t command) {
  // What was refused and is asked again has the same bytes: the last one counts.
  if (operation.kind != Operation::Kind::get) by_command_[command] = operations_.size();
  Tracked tracked{std::move(operation), End::open, false, {}, floor_, 0};
  operations_.push_back(std::move(tracked));
  return operations_.size() - 1;
}

bool History::names(const Expectation& expectation, const Seen& seen) {
  if (!seen.present) return false;
  if (expectation.any) return true;
  return std::find(expectation.revisions.begin(), expectation.revisions.end(), seen.revision) !=
         expectation.revisions.end();
}

// What the documentation says that a write does.
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
    return {Outcome::Kind::removed, revision_, 0, 0, 0};
  }
  ++revision_;
  Seen after{true, operation.value, operation.json, revision_, revision_, 1};
  if (before.present) {
    after.create_revision = before.create_revision;
    after.version = before.version + 1;
  } else {
    ++present_;
  }
  outcome = {Outcome::Kind::put, revision_, after.create_revision, after.version, revision_};
  versions.push_back({revision_, std::move(after)});
  return outcome;
}

Wrong History::committed(std::uint64_t command) {
  const auto at = by_command_.find(command);
  if (at == by_command_.end()) return "a command that nobody asked for is committed";
  Tracked& tracked = operations_[at->second];
  if (tracked.applied) return fmt::format("K1: applied twice: {}", name(tracked));
  tracked.applied = true;
  tracked.outcome = apply(tracked.what);
  if (tracked.end == End::refused) return fmt::format("refused and yet applied: {}", name(tracked));
  return std::nullopt;
}

// No point in the order may lie before one that had been answered when this was invoked.
Wrong History::sees(Tracked& tracked, std::uint64_t revision, bool effect) {
  tracked.end = End::ok;
  tracked.seen = revision;
  if (revision < tracked.floor || (effect && revision == tracked.floor))
    return fmt::format("stale: saw revision {} after {} had been told to somebody: {}", revision,
                       tracked.floor, name(tracked));
  floor_ = std::max(floor_, revision);
  return std::nullopt;
}

Wrong History::wrote(std::size_t operation, const Outcome& outcome) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  if (!tracked.applied)
    return fmt::format("L11: acknowledged and not committed: {}", name(tracked));
  if (outcome != tracked.outcome)
    return fmt::format("wrong outcome (kind {}, revision {}; right: kind {}, revision {}): {}",
                       static_cast<int>(outcome.kind), outcome.revision,
                       static_cast<int>(tracked.outcome.kind), tracked.outcome.revision,
                       name(tracked));
  const bool effect = outcome.kind == Outcome::Kind::put || outcome.kind == Outcome::Kind::removed;
  return sees(tracked, outcome.revision, effect);
}

Wrong History::read(std::size_t operation, const Seen& seen, std::uint64_t revision) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  if (revision > revision_)
    return fmt::format("read at revision {}, committed is {}: {}", revision, revision_,
                       name(tracked));
  Seen right;
  if (const auto at = versions_.find(tracked.what.key); at != versions_.end())
    for (auto v = at->second.rbegin(); v != at->second.rend(); ++v)
      if (v->at <= revision) {
        right = v->seen;
        break;
      }
  if (seen != right)
    return fmt::format("wrong at revision {}: read '{}' of revision {}, right is '{}' of {}: {}",
                       revision, seen.value.substr(0, 20), seen.revision, right.value.substr(0, 20),
                       right.revision, name(tracked));
  return sees(tracked, revision, false);
}

Wrong History::refused(std::size_t operation) {
  Tracked& tracked = operations_[operation];
  if (tracked.end != End::open) return fmt::format("answered twice: {}", name(tracked));
  tracked.end = End::refused;
  if (tracked.applied) return fmt::format("applied and yet refused: {}", name(tracked));
  return std::nullopt;
}

void History::unknown(std::size_t operation) {
  operations_[operation].end = End::unknown;
}

Wrong History::judge_connections() const {
  struct Last {
    std::uint64_t seen = 0;
    std::size_t operation = 0;
  };
  // Requests of a connection were invoked in their order.
  std::unordered_map<std::uint64_t, Last> last;
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const Tracked& tracked = operations_[i];
    if (tracked.end != End::ok) continue;
    Last& before = last[tracked.what.connection];
    if (tracked.seen < before.seen)
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
