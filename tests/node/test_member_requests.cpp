// Changes of the members that clients ask a follower for: what the leader is asked, what its answer
// means, and when the client gets one. And the leader's side, which carries out a question once,
// and judges it, like a transfer of leadership, by the client's token.
#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

#include "kv/command.hpp"
#include "node/cluster_questions.hpp"
#include "node/node.hpp"
#include "raft/entry.hpp"
#include "support/mem_fs.hpp"

namespace test_member_requests {

using namespace vesper;

namespace {

using Why = raft::MembersRefusal::Why;

constexpr raft::ServerId kOne{0}, kTwo{1}, kThree{2};
constexpr raft::Incarnation kOnes{1}, kTwos{7}, kThrees{3};
constexpr raft::Term kTerm{2};
constexpr raft::BootId kBoot{9};
const kv::Identity kRoot{"root", 2}, kOps{"ops", 3}, kApp{"app", 4};

raft::Configuration three_members() {
  return {
      {5, 5},
      {{kOne, "http://a:1", kOnes}, {kTwo, "http://b:1", kTwos}, {kThree, "http://c:1", kThrees}}};
}

raft::MembersRequest removal(std::uint32_t node) {
  raft::MembersRequest request;
  request.remove = {raft::NodeId(node)};
  return request;
}

// Server kTwo, in a cluster that kOne leads.
struct Member final : node::Transport, node::Clients {
  test::MemFs fs;
  Instant now{seconds(1).ns};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  std::vector<node::MembersAsked> asked;
  std::vector<node::MembersReply> answered;
  std::vector<node::ClusterAsked> cluster_asked;
  std::vector<node::ClusterReply> cluster_replies;
  std::vector<node::TransferAsked> transfers_asked;
  std::vector<node::TransferRefused> transfers_refused;
  std::vector<std::pair<std::uint64_t, node::ClientReply>> replies;  // by request

  Member() {
    auto recovered = node::recover(fs, kTwo, kTwos, {}, raft::Config{}.log_tail_entries);
    REQUIRE(recovered.ok());
    recovery = std::move(recovered.value());
    raft::Config config;
    config.self = kTwo;
    config.incarnation = kTwos;
    config.initial_voters = three_members().members;
    node = std::make_unique<node::Node>(config, kBoot, node::NodeLimits{}, recovery, *this, *this,
                                        now);
    REQUIRE(node->replay().ok());
    append(1, kTerm, raft::EntryType::bootstrap, raft::encode_configuration(three_members()));
    heartbeat(1);
  }
  void send(raft::ServerId, const node::PeerMessage& message, raft::Channel) override {
    if (const auto* m = std::get_if<node::MembersAsked>(&message)) asked.push_back(*m);
    if (const auto* m = std::get_if<node::MembersReply>(&message)) answered.push_back(*m);
    if (const auto* m = std::get_if<node::ClusterAsked>(&message)) cluster_asked.push_back(*m);
    if (const auto* m = std::get_if<node::ClusterReply>(&message)) cluster_replies.push_back(*m);
    if (const auto* m = std::get_if<node::TransferAsked>(&message)) transfers_asked.push_back(*m);
    if (const auto* m = std::get_if<node::TransferRefused>(&message))
      transfers_refused.push_back(*m);
  }
  void reply(const node::Ticket& ticket, node::ClientReply reply) override {
    replies.emplace_back(ticket.request, std::move(reply));
  }
  void settle() {
    for (int i = 0; i < 20; ++i) {
      now = now + microseconds(10);
      REQUIRE(node->turn(now).ok());
      if (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
    }
  }
  void receive(node::PeerMessage message, raft::ServerId from = kOne) {
    node->post(node::FromPeer{from, from == kOne ? kOnes : kThrees, std::move(message)});
    settle();
  }
  void append(std::uint64_t index, raft::Term term, raft::EntryType type,
              const std::string& payload, raft::Term previous = kTerm) {
    raft::AppendEntries m{
        term, raft::Index(index - 1), index == 1 ? raft::Term() : previous, {}, {}, {}};
    m.entries.push_back(raft::make_entry(raft::Index(index), term, type, {}, {}, payload));
    receive(raft::Message(std::move(m)));
  }
  void heartbeat(std::uint64_t commit, raft::Term term = kTerm, raft::ServerId from = kOne) {
    receive(raft::Message(raft::Heartbeat{term, raft::Index(commit)}), from);
  }
  void request(std::uint64_t number, raft::MembersRequest change, Duration wait = {}) {
    node->post(node::ClientMembers{
        {1, number}, std::move(change), now + seconds(5), wait.ns == 0 ? Instant{} : now + wait});
    settle();
  }
  void answer(std::uint64_t number, node::MembersOutcome outcome, raft::BootId boot = kBoot) {
    receive(node::MembersReply{boot, number, std::move(outcome)});
  }
  // The leader is heard until `duration` has passed.
  void wait(Duration duration, std::uint64_t commit) {
    for (const Instant end = now + duration; now < end;) {
      now = now + milliseconds(50);
      heartbeat(commit);
    }
  }
  // Makes this server the leader of a term above `kTerm`.
  void lead() {
    receive(raft::Message(raft::TimeoutNow{kTerm}));
    const raft::Term term = node->raft().current_term();
    REQUIRE(term > kTerm);
    receive(raft::Message(raft::VoteReply{.term = term, .for_term = term}));
    REQUIRE(node->raft().is_leader());
  }
  // As the leader: kThree has acknowledged the whole log.
  void commit() {
    const raft::Term term = node->raft().current_term();
    receive(raft::Message(raft::AppendReply{
                .term = term, .success = true, .match_index = node->raft().log().last_index()}),
            kThree);
    REQUIRE(node->applied_index() == node->raft().log().last_index());
  }
  // From here on clients need tokens. "root" and "ops" may administer, "app" may not.
  void enable_tokens() {
    append(2, kTerm, raft::EntryType::command, kv::encode(kv::EnableAuth{}));
    const auto add = [this](std::uint64_t index, std::string name, kv::Right right) {
      const std::string command =
          kv::encode(kv::AddToken{std::move(name), {}, {}, {{right, kv::Rule::Scope::prefix, {}}}});
      append(index, kTerm, raft::EntryType::command,
             std::string(kv::with_identity(command, kRoot).view()));
    };
    add(3, "ops", kv::Right::admin);
    add(4, "app", kv::Right::write);
    heartbeat(4);
    REQUIRE(node->store().access().size() == 3);
  }
  // As the leader.
  void revoke(const std::string& name) {
    node->post(node::ClientWrite{
        {2, 1}, kv::with_identity(kv::encode(kv::RevokeToken{name}), kRoot), now + seconds(5)});
    settle();
    commit();
    REQUIRE(node->store().access().size() == 2);
  }
  // As the leader: the outcome of a question of kThree.
  const node::MembersOutcome& ask(std::uint64_t number,
                                  const std::optional<kv::Identity>& identity) {
    const raft::Term term = node->raft().current_term();
    receive(node::MembersAsked{term, raft::BootId(4), number, removal(40), identity}, kThree);
    REQUIRE(answered.back().number == number);
    return answered.back().outcome;
  }
  node::Refusal refusal(std::size_t i) const { return std::get<node::Refusal>(replies[i].second); }
};

std::string without(std::uint32_t node, std::uint64_t index) {
  raft::Configuration next = three_members();
  next.index = raft::Index(index);
  next.next_id = raft::ServerId(3);
  next.next_node = raft::NodeId(3);
  std::erase_if(next.members, [&](const auto& member) { return member.node.value == node; });
  return raft::encode_configuration(next);
}

// A fourth member joins by the entry at `index`.
std::string with_a_fourth(std::uint64_t index, raft::Goal goal) {
  raft::Configuration next = three_members();
  next.members.push_back({raft::ServerId(3), "http://d:1"});
  next.members.back().seat = goal == raft::Goal::vote ? raft::Seat::learner : raft::Seat::voter;
  next.members.back().goal = goal;
  if (goal != raft::Goal::stay) next.members.back().plan = raft::Index(index);
  next.next_id = raft::ServerId(4);
  next.next_node = raft::NodeId(4);
  return raft::encode_configuration(next);
}

}  // namespace

TEST_CASE("a change is answered when its configuration is committed, and not before") {
  Member member;
  member.request(1, removal(2));
  REQUIRE(member.asked.size() == 1);
  CHECK(member.asked[0].term == kTerm);
  CHECK(member.asked[0].boot == kBoot);
  CHECK(member.asked[0].request.remove == std::vector{raft::NodeId(2)});
  member.answer(member.asked[0].number, node::MembersAppended{raft::Index(2), kTerm});
  CHECK(member.replies.empty());
  member.append(2, kTerm, raft::EntryType::membership, without(2, 2));
  CHECK(member.replies.empty());
  member.heartbeat(2);
  REQUIRE(member.replies.size() == 1);
  const auto& result = std::get<node::MembersResult>(member.replies[0].second);
  CHECK(result.index == raft::Index(2));
  CHECK_FALSE(result.is_joint);
  CHECK(result.pending.empty());
}

TEST_CASE("a question is repeated under its number until it is answered, and answers are its own") {
  Member member;
  member.request(1, removal(2));
  member.wait(seconds(1), 1);
  REQUIRE(member.asked.size() >= 3);
  for (const auto& question : member.asked) CHECK(question.number == member.asked[0].number);
  const raft::MembersRefusal busy{.why = Why::change_in_progress, .index = raft::Index(1)};
  member.answer(member.asked[0].number, busy, raft::BootId(8));  // to an earlier process
  member.answer(member.asked[0].number + 1, busy);
  CHECK(member.replies.empty());
  member.answer(member.asked[0].number, busy);
  REQUIRE(member.replies.size() == 1);
  CHECK(std::get<raft::MembersRefusal>(member.replies[0].second).why == Why::change_in_progress);
  member.answer(member.asked[0].number, busy);
  CHECK(member.replies.size() == 1);
}

TEST_CASE("requests are asked one after the other") {
  Member member;
  member.request(1, removal(2));
  member.request(2, removal(0));
  REQUIRE(member.asked.size() == 1);
  member.answer(member.asked[0].number, raft::MembersRefusal{.why = Why::too_many});
  REQUIRE(member.asked.size() == 2);
  CHECK(member.asked[1].number > member.asked[0].number);
  CHECK(member.asked[1].request.remove == std::vector{raft::NodeId(0)});
}

TEST_CASE("a leader that takes no changes now is asked again under a new number") {
  Member member;
  member.request(1, removal(2));
  member.answer(member.asked[0].number, raft::MembersRefusal{});
  CHECK(member.replies.empty());
  member.wait(seconds(1), 1);
  REQUIRE(member.asked.size() >= 2);
  CHECK(member.asked[1].number > member.asked[0].number);
  // It never takes one: nothing was applied.
  for (int i = 0; i < 10 && member.replies.empty(); ++i) {
    member.answer(member.asked.back().number, raft::MembersRefusal{});
    member.now = member.now + milliseconds(700);
    member.heartbeat(1);
    member.answer(member.asked.back().number, raft::MembersRefusal{});
  }
  REQUIRE(member.replies.size() == 1);
  CHECK(member.refusal(0) == node::Refusal::timeout);
}

TEST_CASE("if the leader changes, an unanswered question has an unknown outcome") {
  Member member;
  member.request(1, removal(2));
  member.heartbeat(1, kTerm.next(), kThree);
  REQUIRE(member.replies.size() == 1);
  CHECK(member.refusal(0) == node::Refusal::outcome_unknown);
}

TEST_CASE("if another entry is committed in the place of the change, nothing was applied") {
  Member member;
  member.request(1, removal(2));
  member.answer(member.asked[0].number, node::MembersAppended{raft::Index(2), kTerm});
  member.heartbeat(1, kTerm.next(), kThree);
  CHECK(member.replies.empty());  // the next leader may have the entry
  raft::AppendEntries other{kTerm.next(), raft::Index(1), kTerm, {}, {}, {}};
  other.entries.push_back(
      raft::make_entry(raft::Index(2), kTerm.next(), raft::EntryType::noop, {}, {}, {}));
  member.receive(raft::Message(std::move(other)), kThree);
  member.heartbeat(2, kTerm.next(), kThree);
  REQUIRE(member.replies.size() == 1);
  CHECK(member.refusal(0) == node::Refusal::no_leader);
}

TEST_CASE("a change that is appended and not committed in time has an unknown outcome") {
  Member member;
  member.request(1, removal(2));
  member.answer(member.asked[0].number, node::MembersAppended{raft::Index(2), kTerm});
  member.wait(seconds(5), 1);
  REQUIRE(member.replies.size() == 1);
  CHECK(member.refusal(0) == node::Refusal::outcome_unknown);
}

TEST_CASE("a request with a wait is answered when its members vote, or says which do not") {
  Member member;
  raft::MembersRequest addition;
  addition.add.push_back({"http://d:1", "", raft::Goal::vote});
  member.request(1, addition, seconds(2));
  member.request(2, addition);
  member.answer(member.asked[0].number, node::MembersAppended{raft::Index(2), kTerm});
  member.answer(member.asked[1].number, node::MembersAppended{raft::Index(2), kTerm});
  member.append(2, kTerm, raft::EntryType::membership, with_a_fourth(2, raft::Goal::vote));
  member.heartbeat(2);
  REQUIRE(member.replies.size() == 1);
  CHECK(member.replies[0].first == 2);  // the one without a wait
  CHECK(std::get<node::MembersResult>(member.replies[0].second).pending.empty());
  SUBCASE("the member votes") {
    member.append(3, kTerm, raft::EntryType::membership, with_a_fourth(2, raft::Goal::stay));
    member.heartbeat(3);
    REQUIRE(member.replies.size() == 2);
    CHECK(std::get<node::MembersResult>(member.replies[1].second).pending.empty());
  }
  SUBCASE("the wait ends first") {
    member.wait(seconds(2), 2);
    REQUIRE(member.replies.size() == 2);
    const auto& result = std::get<node::MembersResult>(member.replies[1].second);
    CHECK(result.pending == std::vector{raft::NodeId(3)});
  }
}

TEST_CASE("at shutdown a request that was asked has an unknown outcome, and another one has none") {
  Member member;
  member.request(1, removal(2));
  member.request(2, removal(0));
  member.node->post(node::Shutdown{});
  member.settle();
  REQUIRE(member.replies.size() == 2);
  CHECK(member.refusal(0) == node::Refusal::outcome_unknown);
  CHECK(member.refusal(1) == node::Refusal::shutting_down);
}

TEST_CASE("a leader carries out a repeated question once, and ignores an older one") {
  Member member;
  member.lead();
  const raft::Term term = member.node->raft().current_term();
  raft::MembersRequest unknown = removal(40);
  const node::MembersAsked asked{term, raft::BootId(4), 2, unknown};
  member.receive(asked, kThree);
  REQUIRE(member.answered.size() == 1);
  CHECK(member.answered[0].boot == raft::BootId(4));
  CHECK(member.answered[0].number == 2);
  const auto first = std::get<raft::MembersRefusal>(member.answered[0].outcome).why;
  // The same number gets the same answer, whatever it asks for.
  member.receive(node::MembersAsked{term, raft::BootId(4), 2, removal(0)}, kThree);
  REQUIRE(member.answered.size() == 2);
  CHECK(std::get<raft::MembersRefusal>(member.answered[1].outcome).why == first);
  member.receive(node::MembersAsked{term, raft::BootId(4), 1, removal(0)}, kThree);
  member.receive(node::MembersAsked{kTerm, raft::BootId(4), 3, removal(0)}, kThree);
  CHECK(member.answered.size() == 2);
  member.receive(node::MembersAsked{term, raft::BootId(4), 3, unknown}, kThree);
  CHECK(member.answered.size() == 3);
}

TEST_CASE("A5: a leader judges a change of the members by the token of its client") {
  Member member;
  member.enable_tokens();
  member.lead();
  const auto why = [](const node::MembersOutcome& outcome) {
    return std::get<raft::MembersRefusal>(outcome).why;
  };
  // It has not applied an entry of its own term, so a revocation may be missing.
  CHECK(why(member.ask(1, kOps)) == Why::not_leading);
  CHECK(why(member.ask(2, std::nullopt)) == Why::not_leading);
  member.commit();
  CHECK(why(member.ask(3, kOps)) == Why::unknown_node);
  std::uint64_t number = 4;
  for (const auto& identity :
       {std::optional<kv::Identity>(), std::optional(kApp), std::optional(kv::Identity{"ops", 2})})
    CHECK(std::holds_alternative<node::MembersForbidden>(member.ask(number++, identity)));
  member.revoke("ops");
  CHECK(std::holds_alternative<node::MembersForbidden>(member.ask(number++, kOps)));
  CHECK(why(member.ask(number++, kRoot)) == Why::unknown_node);
}

TEST_CASE("A5: a leader judges a transfer by the token of its client") {
  Member member;
  member.enable_tokens();
  member.lead();
  const raft::Term term = member.node->raft().current_term();
  member.receive(node::TransferAsked{term, kThree, kApp}, kThree);
  CHECK(member.transfers_refused.empty());  // too early to judge
  member.commit();
  member.receive(node::TransferAsked{kTerm, kThree, kApp}, kThree);
  CHECK(member.transfers_refused.empty());  // of another term
  member.receive(node::TransferAsked{term, kThree, kApp}, kThree);
  REQUIRE(member.transfers_refused.size() == 1);
  CHECK(member.transfers_refused[0].term == term);
  CHECK(member.transfers_refused[0].identity == kApp);
  member.revoke("ops");
  member.receive(node::TransferAsked{term, kThree, kOps}, kThree);
  CHECK(member.transfers_refused.size() == 2);
  member.receive(node::TransferAsked{term, kThree, kRoot}, kThree);
  CHECK(member.transfers_refused.size() == 2);
  CHECK_FALSE(member.node->raft().takes_proposals());  // it hands over
}

TEST_CASE("A5: a leader judges its own clients like those of others") {
  Member member;
  member.enable_tokens();
  member.lead();
  member.commit();
  member.node->post(node::ClientTransfer{{1, 1}, kThree, member.now + seconds(5), kApp});
  member.node->post(
      node::ClientMembers{{1, 2}, removal(0), member.now + seconds(5), {}, std::nullopt});
  member.settle();
  REQUIRE(member.replies.size() == 2);
  CHECK(member.refusal(0) == node::Refusal::unauthorized);
  CHECK(member.refusal(1) == node::Refusal::unauthorized);
  CHECK(member.node->raft().is_leader());
}

TEST_CASE("a follower passes on the token of its client, and the leader's refusal") {
  Member member;
  member.node->post(node::ClientTransfer{{1, 1}, kThree, member.now + seconds(5), kOps});
  member.settle();
  REQUIRE(member.transfers_asked.size() == 1);
  CHECK(member.transfers_asked[0].identity == kOps);
  member.receive(node::TransferRefused{kTerm, kApp});
  member.receive(node::TransferRefused{raft::Term(1), kOps});
  CHECK(member.replies.empty());
  member.receive(node::TransferRefused{kTerm, kOps});
  REQUIRE(member.replies.size() == 1);
  CHECK(member.refusal(0) == node::Refusal::unauthorized);
  member.node->post(node::ClientMembers{{1, 2}, removal(0), member.now + seconds(5), {}, kOps});
  member.settle();
  REQUIRE(member.asked.size() == 1);
  CHECK(member.asked[0].identity == kOps);
  member.answer(member.asked[0].number, node::MembersForbidden{});
  REQUIRE(member.replies.size() == 2);
  CHECK(member.refusal(1) == node::Refusal::unauthorized);
}

TEST_CASE("a follower reports the leader's view, and its own when the leader does not answer") {
  Member member;
  member.node->post(node::ClientCluster{{1, 1}, member.now + seconds(1)});
  member.node->post(node::ClientCluster{{1, 2}, member.now + seconds(3)});
  member.settle();
  REQUIRE(member.cluster_asked.size() == 1);
  member.wait(seconds(1), 1);
  REQUIRE(member.replies.size() == 1);
  const auto& own = std::get<node::ClusterView>(member.replies[0].second);
  CHECK_FALSE(own.is_leaders);
  CHECK(own.leader == kOne);
  REQUIRE(own.rows.size() == 3);
  CHECK_FALSE(own.rows[0].match_index.has_value());
  CHECK(own.rows[0].state == node::MemberState::unreachable);
  CHECK(own.rows[1].is_reachable);
  CHECK(own.rows[1].match_index == raft::Index(1));
  CHECK(member.cluster_asked.size() >= 2);
  node::ClusterView view{three_members(), true, kOne, raft::Index(8), {}};
  member.receive(node::ClusterReply{raft::BootId(8), member.cluster_asked[0].number, view});
  CHECK(member.replies.size() == 1);
  member.receive(node::ClusterReply{kBoot, member.cluster_asked[0].number, view});
  REQUIRE(member.replies.size() == 2);
  CHECK(std::get<node::ClusterView>(member.replies[1].second).last_index == raft::Index(8));
}

TEST_CASE("a leader reports what it knows of each member") {
  Member member;
  member.lead();
  member.receive(node::ClusterAsked{member.node->raft().current_term(), raft::BootId(4), 6},
                 kThree);
  REQUIRE(member.cluster_replies.size() == 1);
  CHECK(member.cluster_replies[0].number == 6);
  const node::ClusterView& view = member.cluster_replies[0].view;
  CHECK(view.is_leaders);
  CHECK(view.leader == kTwo);
  REQUIRE(view.rows.size() == 3);
  CHECK(view.rows[1].state == node::MemberState::replicating);
  CHECK(view.rows[2].match_index.has_value());
  member.receive(node::ClusterAsked{kTerm, raft::BootId(4), 7}, kThree);
  CHECK(member.cluster_replies.size() == 1);
}

TEST_CASE("clients that ask about the cluster while a question is open share the next one") {
  node::ClusterQuestions questions(Duration{10});
  REQUIRE(questions.add({{1, 1}, Instant{100}}));
  const auto first = questions.ask(Instant{1});
  REQUIRE(first.has_value());
  REQUIRE(questions.add({{1, 2}, Instant{100}}));
  REQUIRE(questions.add({{2, 1}, Instant{50}}));
  CHECK_FALSE(questions.ask(Instant{5}).has_value());
  CHECK(questions.answered(*first).size() == 1);
  const auto second = questions.ask(Instant{6});
  REQUIRE(second.has_value());
  CHECK(questions.answered(*first).empty());  // it is older than their questions
  CHECK(questions.deadline() == Instant{16});
  CHECK(questions.expire(Instant{50}).size() == 1);
  questions.leave(1);
  CHECK(questions.is_idle());
  CHECK(questions.deadline() == kNever);
  for (std::uint64_t i = 0; i < 256; ++i) REQUIRE(questions.add({{3, i}, Instant{100}}));
  CHECK_FALSE(questions.add({{3, 256}, Instant{100}}));
  CHECK(questions.clear().size() == 256);
}

}  // namespace test_member_requests
