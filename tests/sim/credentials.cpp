// Clients with tokens: which token a request has, and what they ask of the tokens.
#include "sim/credentials.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/time.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kFormer = 12;

}  // namespace

void Credentials::learn(const Holdings& now) {
  opened_ += now.needs_tokens ? 0 : 1;
  std::uint64_t newest = newest_;
  for (const auto& [name, badge] : now.badges) {
    if (badge.id <= newest_) continue;
    newest = std::max(newest, badge.id);
    const Who who{name, badge.id};
    if (name == "root") root_ = who;
    known_.push_back(who);
    if (known_.size() > kFormer) known_.pop_front();
  }
  newest_ = newest;
}

std::optional<Who> Credentials::draw(Prng& random) const {
  const std::int64_t dice = random.between(1, 100);
  if (dice > 97 || known_.empty()) return std::nullopt;
  if (dice <= 70) return root_;
  return known_[static_cast<std::size_t>(
      random.between(0, static_cast<std::int64_t>(known_.size()) - 1))];
}

Credentials::Act Credentials::draw_act(Prng& random, const Holdings& now) const {
  Act act{random.between(1, 100) <= 60 ? draw(random) : std::nullopt, false, opened_};
  if (!now.needs_tokens) return act;
  const auto badge = act.who ? now.badges.find(act.who->name) : now.badges.end();
  act.is_forbidden = badge == now.badges.end() || badge->second.id != act.who->id ||
                     std::none_of(badge->second.grants.begin(), badge->second.grants.end(),
                                  [](const Grant& grant) { return grant.right == 'a'; });
  return act;
}

Operation Credentials::invent(Prng& random, const Model& model, bool may_disable,
                              std::uint64_t secret) const {
  Operation operation;
  operation.kind = Operation::Kind::access;
  AccessAct& act = operation.access;
  act.secret = secret;
  act.name = fmt::format("t{}", random.between(0, 3));
  const std::int64_t dice = random.between(1, 100);
  if (!model.needs_tokens() && dice <= 60) {
    act.kind = AccessAct::Kind::enable;
    act.name = "root";
    return operation;
  }
  if (may_disable && dice <= 8) {
    act.kind = AccessAct::Kind::disable;
    return operation;
  }
  act.kind = dice <= 60 ? AccessAct::Kind::add : AccessAct::Kind::revoke;
  if (act.kind == AccessAct::Kind::revoke) return operation;
  if (random.between(1, 100) <= 40) act.ttl = milliseconds(random.between(50, 4'000)).ns;
  static constexpr std::string_view kTexts[] = {"", "k", "k0", "n", "r/", "r/a/", "l", "l0", "s"};
  for (std::int64_t n = random.between(1, 6); n > 0; --n) {
    Grant grant;
    grant.right = "rwrwlam"[random.between(0, 6)];
    if (grant.right != 'a' && grant.right != 'm') {
      grant.text = kTexts[random.between(0, 8)];
      grant.exact = !grant.text.empty() && random.between(1, 100) <= 30;
    }
    act.grants.push_back(std::move(grant));
  }
  return operation;
}

}  // namespace vesper::sim
