// The part of Node that changes the members and reports on them. The requests themselves are in
// member_requests.hpp and cluster_questions.hpp; Raft decides (raft/membership_leader.cpp).
#include "node/node.hpp"

namespace vesper::node {
// ---- changes ------------------------------------------------------------------------------

void Node::on(ClientMembers&& members) {
  if (!admit(members.ticket, 0)) return;
  const Ticket ticket = members.ticket;
  if (!member_requests_.add(std::move(members), now_)) answer(ticket, Refusal::overloaded);
}

// Requires that this server leads.
MembersOutcome Node::change_members(raft::MembersRequest request,
                                    const std::optional<kv::Identity>& identity) {
  switch (judge_act(identity)) {
    case Judgement::allowed: break;
    case Judgement::refused: return MembersForbidden{};
    case Judgement::too_early:  // to be asked again
      return raft::MembersRefusal{.why = raft::MembersRefusal::Why::not_leading};
  }
  VESPER_ASSERT(output_.members.empty());
  step(raft::ChangeMembers{0, std::move(request)});
  VESPER_ASSERT(output_.members.size() == 1);
  const raft::MembersAnswer answer = std::move(output_.members.front());
  output_.members.clear();
  if (const auto* refusal = std::get_if<raft::MembersRefusal>(&answer.outcome)) return *refusal;
  const auto index = std::get<raft::Index>(answer.outcome);
  if (index <= raft_.commit_index()) return MembersAppended{index, raft::Term(0)};
  return MembersAppended{index, raft_.current_term()};
}

void Node::ask_for_members() {
  const auto leader = raft_.leader();
  if (!leader || stopping_) return;
  const raft::Term term = raft_.current_term();
  while (const auto question = member_requests_.ask(term, now_)) {
    if (raft_.is_leader()) {
      auto outcome = change_members(question->request, question->identity);
      member_requests_.on_reply(question->number, std::move(outcome), now_);
    } else {
      const MembersAsked asked{term, boot_, question->number, question->request,
                               question->identity};
      transport_.send(*leader, asked, raft::Channel::control);
    }
  }
  if (cluster_questions_.is_idle() || raft_.is_leader()) return;
  if (const auto number = cluster_questions_.ask(now_))
    transport_.send(*leader, ClusterAsked{term, boot_, *number}, raft::Channel::control);
}

// A copy of a question that an earlier leader got has another term and is ignored, so that a
// request takes effect once.
void Node::on_message(const FromPeer& from, const MembersAsked& asked) {
  if (!raft_.is_leader() || asked.term != raft_.current_term() || stopping_) return;
  const MemberAnswers::Known known = member_answers_.find(from.from, asked);
  if (known.is_outdated) return;
  MembersOutcome outcome =
      known.outcome != nullptr ? *known.outcome : change_members(asked.request, asked.identity);
  transport_.send(from.from, MembersReply{asked.boot, asked.number, outcome},
                  raft::Channel::control);
  if (known.outcome == nullptr) member_answers_.remember(from.from, asked, std::move(outcome));
}

void Node::on_message(const FromPeer&, const MembersReply& reply) {
  if (reply.boot == boot_) member_requests_.on_reply(reply.number, reply.outcome, now_);
}

void Node::answer_members() {
  if (!member_requests_.is_idle())
    for (MemberRequests::Answer& ended : member_requests_.take_answers(raft_, now_))
      answer(ended.ticket, std::move(ended.reply));
  if (cluster_questions_.is_idle()) return;
  const bool asks = raft_.leader().has_value() && !raft_.is_leader();
  for (const Ticket& ticket : asks ? cluster_questions_.expire(now_) : cluster_questions_.clear())
    answer(ticket, cluster_view());
}

// ---- what is known of the members ---------------------------------------------------------

void Node::on(const ClientCluster& cluster) {
  if (stopping_) return answer(cluster.ticket, Refusal::shutting_down);
  if (!cluster_questions_.add(cluster)) answer(cluster.ticket, Refusal::overloaded);
}

ClusterView Node::cluster_view() const {
  ClusterView view{
      raft_.configuration(), raft_.is_leader(), raft_.leader(), raft_.log().last_index(), {}};
  for (const raft::Member& member : view.configuration.members) {
    ClusterView::Row row{member.id, is_reachable(raft_, member.id), state_of(raft_, member),
                         std::nullopt};
    if (member.id == raft_.self()) row.match_index = raft_.writes().durable_index();
    else if (const raft::Progress* progress = raft_.progress_of(member.id))
      row.match_index = progress->match_index;
    view.rows.push_back(row);
  }
  return view;
}

void Node::on_message(const FromPeer& from, const ClusterAsked& asked) {
  // Before a leader has founded the cluster, there is nothing to report.
  if (!raft_.is_leader() || asked.term != raft_.current_term() ||
      raft_.configuration().cluster_id.is_none())
    return;
  transport_.send(from.from, ClusterReply{asked.boot, asked.number, cluster_view()},
                  raft::Channel::control);
}

void Node::on_message(const FromPeer&, ClusterReply&& reply) {
  if (reply.boot != boot_) return;
  for (const Ticket& ticket : cluster_questions_.answered(reply.number)) answer(ticket, reply.view);
}

}  // namespace vesper::node
