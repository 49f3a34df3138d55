#include <doctest/doctest.h>

#include "node/codec.hpp"
#include "raft/entry.hpp"

namespace test_codec {

using namespace vesper;
using namespace vesper::node;

namespace {

constexpr raft::Term kTerm{7};

MembersAsked change() {
  MembersAsked asked{kTerm, raft::BootId(3), 4, {}};
  asked.request.add.push_back({"http://d:1", "four", raft::Goal::vote});
  asked.request.remove = {raft::NodeId(1)};
  asked.request.promote = {raft::NodeId(2), raft::NodeId(5)};
  asked.request.demote = {raft::NodeId(6)};
  asked.request.update.push_back({raft::NodeId(3), "http://e:1"});
  asked.request.force = raft::MembersRequest::Force::yes;
  return asked;
}

MembersReply refusal() {
  using Why = raft::MembersRefusal::Why;
  return {raft::BootId(3), 4,
          raft::MembersRefusal{Why::no_voter, raft::Index(9), {raft::NodeId(7)}, "http://f:1"}};
}

ClusterReply cluster() {
  const raft::Configuration one{{5, 5}, {{raft::ServerId(0), "http://a:1", raft::Incarnation(1)}}};
  ClusterView view{one, true, raft::ServerId(0), raft::Index(12), {}};
  view.rows.push_back({raft::ServerId(0), true, MemberState::snapshot, raft::Index(11)});
  view.rows.push_back({raft::ServerId(1), false, MemberState::unreachable, std::nullopt});
  return {raft::BootId(3), 4, view};
}

Forward sample() {
  Forward f{raft::Term(7), raft::BootId(3), 2, 11, {}};
  f.writes.push_back({12, SharedBytes::copy_of("first")});
  f.writes.push_back({15, SharedBytes()});
  return f;
}

}  // namespace

TEST_CASE("a Forward decodes to what was encoded") {
  std::string bytes;
  encode(PeerMessage{sample()}, bytes);
  const auto back = decode(bytes);
  REQUIRE(back.ok());
  const auto& f = std::get<Forward>(*back);
  CHECK(f.term == raft::Term(7));
  CHECK(f.boot == raft::BootId(3));
  CHECK(f.attempt == 2);
  CHECK(f.previous == 11);
  REQUIRE(f.writes.size() == 2);
  CHECK(f.writes[0].command.view() == "first");
  CHECK(f.writes[1].sequence == 15);
}

TEST_CASE("a ForwardReply decodes to what was encoded") {
  std::string bytes;
  encode(PeerMessage{ForwardReply{raft::Term(7), raft::BootId(3), 2, 12, true}}, bytes);
  const auto back = decode(bytes);
  REQUIRE(back.ok());
  CHECK(std::get<ForwardReply>(*back).attempt == 2);
  CHECK(std::get<ForwardReply>(*back).accepted == 12);
  CHECK(std::get<ForwardReply>(*back).gap);
}

TEST_CASE("a TransferAsked decodes to what was encoded, and an id out of range is refused") {
  for (const auto& to : {std::optional<raft::ServerId>(), std::optional(raft::ServerId(2))}) {
    std::string bytes;
    encode(PeerMessage{TransferAsked{raft::Term(7), to}}, bytes);
    const auto back = decode(bytes);
    REQUIRE(back.ok());
    CHECK(std::get<TransferAsked>(*back).term == raft::Term(7));
    CHECK(std::get<TransferAsked>(*back).to == to);
    CHECK_FALSE(decode(std::string_view(bytes).substr(0, bytes.size() - 1)).ok());
  }
  std::string bytes;
  encode(PeerMessage{TransferAsked{raft::Term(7), raft::ServerId(raft::kMaxServerId + 1)}}, bytes);
  CHECK_FALSE(decode(bytes).ok());
}

TEST_CASE("questions for the leader carry the client's token, and a malformed one is refused") {
  const kv::Identity ops{"ops", 12};
  const auto back = [](const PeerMessage& message) {
    std::string bytes;
    encode(message, bytes);
    return decode(bytes);
  };
  for (const auto& identity : {std::optional<kv::Identity>(), std::optional(ops)}) {
    MembersAsked asked = change();
    asked.identity = identity;
    CHECK(std::get<MembersAsked>(*back(asked)).identity == identity);
    CHECK(std::get<TransferAsked>(*back(TransferAsked{kTerm, {}, identity})).identity == identity);
    const auto refused = std::get<TransferRefused>(*back(TransferRefused{kTerm, identity}));
    CHECK(refused.term == kTerm);
    CHECK(refused.identity == identity);
  }
  for (const kv::Identity& wrong : {kv::Identity{"ops", 0}, kv::Identity{"o s", 12},
                                    kv::Identity{"", 12}, kv::Identity{std::string(65, 'o'), 12}}) {
    CAPTURE(wrong.name);
    CHECK_FALSE(back(TransferRefused{kTerm, wrong}).ok());
    CHECK_FALSE(back(TransferAsked{kTerm, {}, wrong}).ok());
  }
  const auto reply = back(MembersReply{raft::BootId(3), 4, MembersForbidden{}});
  CHECK(std::holds_alternative<MembersForbidden>(std::get<MembersReply>(*reply).outcome));
}

TEST_CASE("a message truncated anywhere is refused") {
  for (const PeerMessage& message :
       {PeerMessage{sample()}, PeerMessage{change()}, PeerMessage{refusal()},
        PeerMessage{MembersReply{raft::BootId(3), 4, MembersAppended{raft::Index(5), kTerm}}},
        PeerMessage{ClusterAsked{kTerm, raft::BootId(3), 4}}, PeerMessage{cluster()}}) {
    std::string bytes;
    encode(message, bytes);
    REQUIRE(decode(bytes).ok());
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK_FALSE(decode(std::string_view(bytes).substr(0, size)).ok());
    bytes.push_back('x');
    CHECK_FALSE(decode(bytes).ok());
  }
}

TEST_CASE("messages about the members decode to what was encoded") {
  const auto back = [](const PeerMessage& message) {
    std::string bytes;
    encode(message, bytes);
    auto read = decode(bytes);
    REQUIRE(read.ok());
    return std::move(*read);
  };
  const auto asked = std::get<MembersAsked>(back(change()));
  CHECK(asked.term == kTerm);
  CHECK(asked.boot == raft::BootId(3));
  CHECK(asked.number == 4);
  REQUIRE(asked.request.add.size() == 1);
  CHECK(asked.request.add[0].address == "http://d:1");
  CHECK(asked.request.add[0].name == "four");
  CHECK(asked.request.add[0].goal == raft::Goal::vote);
  CHECK(asked.request.remove == std::vector{raft::NodeId(1)});
  CHECK(asked.request.promote == std::vector{raft::NodeId(2), raft::NodeId(5)});
  CHECK(asked.request.demote == std::vector{raft::NodeId(6)});
  REQUIRE(asked.request.update.size() == 1);
  CHECK(asked.request.update[0].node == raft::NodeId(3));
  CHECK(asked.request.update[0].address == "http://e:1");
  CHECK(asked.request.force == raft::MembersRequest::Force::yes);
  const auto refused = std::get<MembersReply>(back(refusal()));
  CHECK(refused.number == 4);
  const auto& why = std::get<raft::MembersRefusal>(refused.outcome);
  CHECK(why.why == raft::MembersRefusal::Why::no_voter);
  CHECK(why.index == raft::Index(9));
  CHECK(why.nodes == std::vector{raft::NodeId(7)});
  CHECK(why.address == "http://f:1");
  const auto view = std::get<ClusterReply>(back(cluster())).view;
  CHECK(view.is_leaders);
  CHECK(view.leader == raft::ServerId(0));
  CHECK(view.last_index == raft::Index(12));
  CHECK(view.configuration.members.size() == 1);
  REQUIRE(view.rows.size() == 2);
  CHECK(view.rows[0].is_reachable);
  CHECK(view.rows[0].state == MemberState::snapshot);
  CHECK(view.rows[0].match_index == raft::Index(11));
  CHECK_FALSE(view.rows[1].match_index.has_value());
}

TEST_CASE("numbers out of range in messages about the members are refused") {
  const auto refuses = [](const PeerMessage& message) {
    std::string bytes;
    encode(message, bytes);
    return !decode(bytes).ok();
  };
  MembersAsked asked = change();
  asked.term = raft::Term(raft::kMaxTerm.value + 1);
  CHECK(refuses(asked));
  asked = change();
  asked.request.remove = {raft::NodeId(raft::kMaxServerId + 1)};
  CHECK(refuses(asked));
  asked = change();
  asked.request.add[0].goal = raft::Goal::leave;
  CHECK(refuses(asked));
  asked = change();
  asked.request.add[0].address = std::string(raft::kMaxAddress + 1, 'a');
  CHECK(refuses(asked));
  asked = change();
  asked.request.demote.assign(raft::kMaxServers + 1, raft::NodeId(1));
  CHECK(refuses(asked));
  ClusterReply view = cluster();
  view.view.rows.resize(raft::kMaxServers + 1);
  CHECK(refuses(view));
  view = cluster();
  view.view.last_index = raft::Index(raft::kMaxIndex.value + 1);
  CHECK(refuses(view));
}

TEST_CASE("the error about an unknown kind names it") {
  const auto unknown = decode(std::string("\xc8", 1));
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().what.find("kind 200") != std::string::npos);
}

TEST_CASE("sequences that do not increase are refused") {
  Forward f = sample();
  f.writes[1].sequence = 12;
  std::string bytes;
  encode(PeerMessage{f}, bytes);
  CHECK_FALSE(decode(bytes).ok());
}

}  // namespace test_codec
