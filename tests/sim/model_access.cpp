// The part of the model about tokens: which requests a token allows, and what changes the tokens.
// It shares no code with the store.
#include <fmt/core.h>

#include <algorithm>

#include "sim/history.hpp"

namespace vesper::sim {

using Kind = Outcome::Kind;

namespace {

constexpr std::size_t kMostBadges = 1000;

bool allows_point(const Badge& badge, std::string_view rights, std::string_view point) {
  return std::any_of(badge.grants.begin(), badge.grants.end(), [&](const Grant& grant) {
    if (rights.find(grant.right) == std::string_view::npos) return false;
    return grant.exact ? point == grant.text : point.substr(0, grant.text.size()) == grant.text;
  });
}

// The first string after all that the grant allows; empty: there is none.
std::string end_of(const Grant& grant) {
  std::string end = grant.text;
  if (grant.exact) return end + '\0';
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

// Allowed grants are intervals. They cover the span if its start lies in one of them, and each
// point in it where one of them ends lies in another one.
bool allows_span(const Badge& badge, std::string_view rights, const Span& span) {
  if (!span.end.empty() && span.end <= span.start) return true;
  if (!allows_point(badge, rights, span.start)) return false;
  bool reaches_end = !span.end.empty();
  for (const Grant& grant : badge.grants) {
    if (rights.find(grant.right) == std::string_view::npos) continue;
    const std::string end = end_of(grant);
    if (end.empty()) reaches_end = true;
    else if (end > span.start && span.contains(end) && !allows_point(badge, rights, end))
      return false;
  }
  return reaches_end;
}

bool has(const Badge& badge, char right) {
  return std::any_of(badge.grants.begin(), badge.grants.end(),
                     [&](const Grant& grant) { return grant.right == right; });
}

bool may(const Badge& badge, const Txn& txn);

bool may(const Badge& badge, const Act& act) {
  const bool writes_key = allows_point(badge, "w", act.key);
  const bool reads_key = allows_point(badge, "r", act.key);
  switch (act.kind) {
    case Act::Kind::put: return writes_key && (!act.prev || reads_key);
    case Act::Kind::get: return reads_key;
    case Act::Kind::range: return allows_span(badge, "r", act.span);
    case Act::Kind::remove:
      return allows_span(badge, "w", act.span) && (!act.prev || allows_span(badge, "r", act.span));
    case Act::Kind::increment:
    case Act::Kind::append:
    case Act::Kind::min:
    case Act::Kind::max:
    case Act::Kind::restore: return writes_key && reads_key;
    case Act::Kind::nested: return may(badge, *act.txn);
  }
  return false;
}

bool may(const Badge& badge, const Txn& txn) {
  for (const Check& check : txn.checks) {
    const std::string_view rights = check.target == Check::Target::lock    ? "l"
                                    : check.target == Check::Target::value ? "r"
                                                                           : "rw";
    if (!allows_span(badge, rights, check.span)) return false;
  }
  const auto allowed = [&](const Act& act) { return may(badge, act); };
  return std::all_of(txn.then.begin(), txn.then.end(), allowed) &&
         std::all_of(txn.otherwise.begin(), txn.otherwise.end(), allowed);
}

bool may(const Model& model, const Badge& badge, const Claim& claim) {
  switch (claim.kind) {
    case Claim::Kind::grant:
    case Claim::Kind::renew_lease: return has(badge, 'w');
    case Claim::Kind::end_lease: return model.may_end_lease(badge, claim.number);
    case Claim::Kind::acquire:
    case Claim::Kind::renew:
    case Claim::Kind::release: break;
  }
  return allows_point(badge, "l", claim.lock.name);
}

bool may(const Model& model, const Badge& badge, const Operation& operation) {
  if (operation.fence && !allows_point(badge, "l", operation.fence->lock.name)) return false;
  switch (operation.kind) {
    case Operation::Kind::put:
    case Operation::Kind::remove: return allows_point(badge, "w", operation.key);
    case Operation::Kind::act: return may(badge, operation.act);
    case Operation::Kind::txn: return may(badge, *operation.txn);
    case Operation::Kind::claim: return may(model, badge, operation.claim);
    case Operation::Kind::compact:
    case Operation::Kind::access: return has(badge, 'a');
    case Operation::Kind::get:
    case Operation::Kind::past:
    case Operation::Kind::history:
    case Operation::Kind::page:
    case Operation::Kind::stream:
    case Operation::Kind::read_txn: break;
  }
  return false;
}

}  // namespace

// Why the request is not carried out; nothing if it may be.
std::optional<Kind> History::refusal(const Operation& operation) const {
  if (!model_.needs_tokens()) return std::nullopt;
  const Badge* badge = model_.badge_of(operation.who);
  if (badge == nullptr) return Kind::unauthorized;
  if (!may(model_, *badge, operation)) return Kind::forbidden;
  return std::nullopt;
}

const Badge* Model::badge_of(const std::optional<Who>& who) const {
  if (!who) return nullptr;
  const auto at = holdings_.badges.find(who->name);
  if (at == holdings_.badges.end() || at->second.id != who->id) return nullptr;
  return at->second.expires > stamp_.time ? &at->second : nullptr;
}

bool Model::may_end_lease(const Badge& badge, std::uint64_t lease) const {
  if (!has(badge, 'w')) return false;
  for (const auto& [key, versions] : versions()) {
    const Seen& seen = versions.back().seen;
    if (seen.present && seen.lease == lease && !allows_point(badge, "w", key)) return false;
  }
  return true;
}

Outcome Model::carry_out(const AccessAct& act) {
  std::map<std::string, Badge>& badges = holdings_.badges;
  const auto text = [&](std::uint64_t id, std::int64_t expires) {
    return done(fmt::format("tokens({},{},{})", id, expires, badges.size()), id);
  };
  const auto refused = [&](Kind kind) {
    Outcome outcome = done(kind == Kind::table_limit ? fmt::format("{}", kMostBadges) : "");
    outcome.kind = kind;
    return outcome;
  };
  if (act.kind == AccessAct::Kind::disable) {
    holdings_.needs_tokens = false;
    return text(0, kNeverEnds);
  }
  if (act.kind == AccessAct::Kind::enable && holdings_.needs_tokens)
    return refused(Kind::enabled_already);
  std::erase_if(badges, [&](const auto& one) { return one.second.expires <= stamp_.time; });
  switch (act.kind) {
    case AccessAct::Kind::enable: {
      if (!badges.contains("root") && badges.size() >= kMostBadges)
        return refused(Kind::table_limit);
      Badge root{stamp_.index, kNeverEnds, {}};
      for (const char right : std::string_view("rwlam")) root.grants.push_back({right, false, ""});
      badges["root"] = std::move(root);
      holdings_.needs_tokens = true;
      return text(stamp_.index, kNeverEnds);
    }
    case AccessAct::Kind::add: {
      if (badges.contains(act.name)) return refused(Kind::token_exists);
      if (badges.size() >= kMostBadges) return refused(Kind::table_limit);
      const std::int64_t expires = act.ttl == 0 ? kNeverEnds : end_after(stamp_.time, act.ttl);
      badges[act.name] = {stamp_.index, expires, act.grants};
      return text(stamp_.index, expires);
    }
    case AccessAct::Kind::revoke:
      if (badges.erase(act.name) == 0) return refused(Kind::no_token);
      return text(0, kNeverEnds);
    case AccessAct::Kind::disable: break;
  }
  return {};
}

}  // namespace vesper::sim
