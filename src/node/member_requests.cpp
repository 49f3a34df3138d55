#include "node/member_requests.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {
namespace {

constexpr std::size_t kMaxMemberRequests = 64;  // that may wait at the same time
constexpr std::size_t kMaxMemberAnswers = 2 * raft::kMaxServers;

}  // namespace

bool MemberRequests::add(ClientMembers request, Instant now) {
  if (requests_.size() >= kMaxMemberRequests) return false;
  if (std::none_of(requests_.begin(), requests_.end(),
                   [](const Request& other) { return other.stage <= Stage::asked; }))
    ask_at_ = now;
  requests_.push_back({.wanted = std::move(request)});
  return true;
}

std::optional<MemberRequests::Question> MemberRequests::ask(raft::Term term, Instant now) {
  if (now < ask_at_) return std::nullopt;
  const auto next = std::find_if(requests_.begin(), requests_.end(), [&](const Request& request) {
    return request.stage <= Stage::asked && !request.refused && now < request.wanted.deadline;
  });
  if (next == requests_.end()) return std::nullopt;
  if (next->stage == Stage::asked && next->term != term) return std::nullopt;
  if (next->stage == Stage::waiting) next->number = ++last_number_;
  next->stage = Stage::asked;
  next->term = term;
  ask_at_ = now + interval_;
  return Question{next->number, next->wanted.request, next->wanted.identity};
}

void MemberRequests::on_reply(std::uint64_t number, MembersOutcome outcome, Instant now) {
  const auto at = std::find_if(requests_.begin(), requests_.end(), [&](const Request& request) {
    return request.stage == Stage::asked && request.number == number;
  });
  if (at == requests_.end()) return;
  ask_at_ = now;
  if (const auto* appended = std::get_if<MembersAppended>(&outcome)) {
    at->stage = appended->term.value == 0 ? Stage::in_log : Stage::appended;
    at->term = appended->term;
    at->index = appended->index;
    return;
  }
  if (std::holds_alternative<MembersForbidden>(outcome)) {
    at->refused = Refusal::unauthorized;
    return;
  }
  auto& refusal = std::get<raft::MembersRefusal>(outcome);
  if (refusal.why == raft::MembersRefusal::Why::not_leading) {
    // It hands over, or takes no proposals now. The request is asked again, as a new question.
    at->stage = Stage::waiting;
    ask_at_ = now + interval_;
  } else {
    at->refused = std::move(refusal);
  }
}

// Compares the log with what the leader has appended. Another entry in its place proves that the
// change is lost. A snapshot in its place proves nothing.
std::optional<Refusal> MemberRequests::check_log(Request& request, const raft::Raft& raft) {
  if (request.stage != Stage::appended || raft.commit_index() < request.index) return std::nullopt;
  const auto term = raft.log().term_at(request.index);
  if (!term) return Refusal::outcome_unknown;
  if (*term != request.term) return Refusal::no_leader;
  request.stage = Stage::in_log;
  return std::nullopt;
}

MembersResult MemberRequests::result_of(const Request& request,
                                        const raft::Configuration& committed) {
  MembersResult result{committed.index, committed.is_joint(), {}};
  const auto add = [&](const raft::Member& member) {
    if (std::find(result.pending.begin(), result.pending.end(), member.node) ==
        result.pending.end())
      result.pending.push_back(member.node);
  };
  for (const raft::Member& member : committed.members)
    if (member.plan == request.index && member.goal == raft::Goal::vote) add(member);
  if (!result.pending.empty()) return result;
  for (const raft::Member& member : committed.members)
    if (member.plan == request.index || member.seat == raft::Seat::incoming ||
        member.seat == raft::Seat::outgoing)
      add(member);
  return result;
}

// Nothing: the request has not ended.
std::optional<ClientReply> MemberRequests::answer(Request& request, const raft::Raft& raft,
                                                  Instant now) {
  if (request.refused) return std::move(*request.refused);
  if (const auto lost = check_log(request, raft)) return *lost;
  const raft::Configuration& committed = raft.committed_configuration();
  if (request.stage == Stage::in_log && committed.index >= request.index && !committed.is_joint())
    request.stage = Stage::begun;
  if (request.stage == Stage::begun) {
    MembersResult result = result_of(request, committed);
    if (now < request.wanted.wait_until && !result.pending.empty()) return std::nullopt;
    if (request.wanted.wait_until == Instant{}) result.pending.clear();
    return result;
  }
  // The leader is gone, and no one knows whether its entry will be committed.
  if (request.stage == Stage::asked && raft.current_term() != request.term)
    return Refusal::outcome_unknown;
  if (now < request.wanted.deadline) return std::nullopt;
  if (request.stage != Stage::waiting) return Refusal::outcome_unknown;
  return raft.leader() ? Refusal::timeout : Refusal::no_leader;
}

std::vector<MemberRequests::Answer> MemberRequests::take_answers(const raft::Raft& raft,
                                                                 Instant now) {
  std::vector<Answer> answers;
  std::erase_if(requests_, [&](Request& request) {
    auto reply = answer(request, raft, now);
    if (!reply) return false;
    if (request.stage <= Stage::asked && !request.refused) ask_at_ = now;
    answers.push_back({request.wanted.ticket, std::move(*reply)});
    return true;
  });
  return answers;
}

void MemberRequests::leave(std::uint64_t connection) {
  std::erase_if(requests_, [&](const Request& request) {
    return request.wanted.ticket.connection == connection;
  });
}

std::vector<MemberRequests::Ended> MemberRequests::clear() {
  std::vector<Ended> ended;
  for (const Request& request : std::exchange(requests_, {}))
    ended.push_back({request.wanted.ticket, request.stage == Stage::waiting
                                                ? Refusal::shutting_down
                                                : Refusal::outcome_unknown});
  return ended;
}

Instant MemberRequests::deadline(std::optional<raft::ServerId> leader) const {
  Instant next = kNever;
  for (const Request& request : requests_) {
    next = std::min(
        next, request.stage == Stage::begun ? request.wanted.wait_until : request.wanted.deadline);
    if (leader && request.stage <= Stage::asked) next = std::min(next, ask_at_);
  }
  return next;
}

MemberAnswers::Known MemberAnswers::find(raft::ServerId from, const MembersAsked& asked) const {
  for (const Entry& entry : entries_) {
    if (entry.from != from || entry.boot != asked.boot || entry.term != asked.term) continue;
    if (entry.number == asked.number) return {false, &entry.outcome};
    return {asked.number < entry.number, nullptr};
  }
  return {};
}

void MemberAnswers::remember(raft::ServerId from, const MembersAsked& asked,
                             MembersOutcome outcome) {
  std::erase_if(entries_,
                [&](const Entry& entry) { return entry.term != asked.term || entry.from == from; });
  if (entries_.size() == kMaxMemberAnswers) entries_.erase(entries_.begin());
  entries_.push_back({from, asked.term, asked.boot, asked.number, std::move(outcome)});
}

}  // namespace vesper::node
