#include "node/self_check.hpp"

#include "raft/quorum.hpp"

namespace vesper::node {
namespace {

constexpr Duration kInterval = seconds(1);

}  // namespace

std::optional<DigestAsked> SelfCheck::ask(raft::Term term, const raft::Configuration& configuration,
                                          raft::Index last_index, Instant now) {
  if (!is_due(term, now)) return std::nullopt;
  ask_at_ = now + kInterval;
  if (term != term_) {
    round_ = raft::Index();
    verdict_.reset();
    complete_ = false;
  }
  term_ = term;
  if (round_.value != 0) end_round(configuration);
  // Nothing has changed since all voters agreed, and everyone has been told the verdict.
  if (complete_ && round_ == last_index) return std::nullopt;
  round_ = last_index;
  digests_.clear();
  DigestAsked asked{term, round_, verdict_};
  on_asked(self_, asked);
  return asked;
}

void SelfCheck::end_round(const raft::Configuration& configuration) {
  const raft::Quorum quorum(configuration.members);
  const auto has = [&](Id128 digest) {
    return [this, digest](const raft::Member& voter) {
      const auto found = digests_.find(voter.id);
      return found != digests_.end() && found->second == digest;
    };
  };
  complete_ = false;
  bool agreed = digests_.empty();
  for (const auto& [id, digest] : digests_) {
    if (!quorum.holds(has(digest))) continue;
    agreed = true;
    verdict_ = DigestAsked::Verdict{round_, digest};
    judge(*verdict_);
    complete_ = true;
    for (const raft::Member& voter : configuration.members) complete_ &= has(digest)(voter);
    break;
  }
  const auto reported = [this](const raft::Member& voter) { return digests_.contains(voter.id); };
  split_ = !agreed && quorum.holds(reported);
}

void SelfCheck::on_reply(raft::ServerId from, const DigestReply& reply) {
  if (reply.term == term_ && reply.index == round_) digests_[from] = reply.digest;
}

void SelfCheck::on_asked(raft::ServerId leader, const DigestAsked& asked) {
  if (asked.verdict) judge(*asked.verdict);
  asked_by_ = leader;
  asked_term_ = asked.term;
  awaited_ = asked.index;
}

std::optional<DigestReply> SelfCheck::on_awaited(Id128 digest) {
  own_index_ = std::exchange(awaited_, raft::Index());
  own_ = digest;
  const DigestReply reply{asked_term_, own_index_, digest};
  if (asked_by_ != self_) return reply;
  on_reply(self_, reply);
  return std::nullopt;
}

void SelfCheck::judge(const DigestAsked::Verdict& verdict) {
  if (divergence_ || verdict.index != own_index_ || verdict.digest == own_) return;
  divergence_ = Divergence{own_index_, own_, verdict.digest};
}

}  // namespace vesper::node
