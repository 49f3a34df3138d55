// Changes of the members: which bodies are refused and what they name, what a refused change says,
// and how GET /cluster shows the members.
#include <doctest/doctest.h>

#include "api/cluster.hpp"
#include "api/members.hpp"
#include "ask.hpp"

namespace test_members {

using namespace vesper;
using namespace vesper::api;

namespace {

using Why = raft::MembersRefusal::Why;

std::string list_of(std::string_view element, std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += ',';
    text += element;
  }
  return text + "]";
}

raft::Member member(std::uint32_t id, std::uint32_t node, raft::Seat seat, raft::Goal goal) {
  raft::Member made{raft::ServerId(id), "http://h:" + std::to_string(5000 + node),
                    raft::Incarnation(0xa0 + id), raft::NodeId(node)};
  made.seat = seat;
  made.goal = goal;
  return made;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a change is read with canonical addresses") {
  raft::MembersRequest change;
  const auto problem = read_members(
      R"({"add":[{"address":"http://HOST:5003/"},{"address":"http://[0:0::1]:5004","learner":true,
          "name":"reader"}],"remove":[1,2],"promote":[3],"demote":[4],
          "update":[{"id":5,"address":"http://h:1"}]})",
      change);
  REQUIRE_FALSE(problem.has_value());
  REQUIRE(change.add.size() == 2);
  CHECK(change.add[0].address == "http://host:5003");
  CHECK(change.add[0].goal == raft::Goal::vote);
  CHECK(change.add[0].name.empty());
  CHECK(change.add[1].address == "http://[::1]:5004");
  CHECK(change.add[1].goal == raft::Goal::stay);
  CHECK(change.add[1].name == "reader");
  CHECK(change.remove == std::vector{raft::NodeId(1), raft::NodeId(2)});
  CHECK(change.promote == std::vector{raft::NodeId(3)});
  CHECK(change.demote == std::vector{raft::NodeId(4)});
  REQUIRE(change.update.size() == 1);
  CHECK(change.update[0].node == raft::NodeId(5));
  CHECK(change.force == raft::MembersRequest::Force::no);
}

TEST_CASE("a body that is no change is refused, and the refusal names the member") {
  const std::string long_name(256, 'n');
  const std::pair<std::string, std::string> cases[] = {
      {R"([])", ""},
      {R"({})", ""},
      {R"({"add":[],"remove":[]})", ""},
      {R"({"added":[]})", "added"},
      {R"({"remove":[1],"remove":[2]})", "remove"},
      {R"({"remove":1})", "remove"},
      {R"({"remove":["1"]})", "remove[0]"},
      {R"({"promote":["1"]})", "promote[0]"},
      {R"({"demote":[1,"2"]})", "demote[1]"},
      {R"({"update":[{"id":"3","address":"http://c:1"}]})", "update[0].id"},
      {R"({"remove":[-1]})", "remove[0]"},
      {R"({"remove":[1.5]})", "remove[0]"},
      {R"({"remove":[1073741825]})", "remove[0]"},
      {R"({"remove":[1,1]})", "remove[1]"},
      {R"({"remove":[1],"demote":[2,1]})", "demote[1]"},
      {R"({"promote":[null]})", "promote[0]"},
      {R"({"add":["http://a:1"]})", "add[0]"},
      {R"({"add":[{}]})", "add[0].address"},
      {R"({"add":[{"address":5}]})", "add[0].address"},
      {R"({"add":[{"address":"a:1"}]})", "add[0].address"},
      {R"({"add":[{"address":"http//a:1"}]})", "add[0].address"},
      {R"({"add":[{"address":"ftp://a:1"}]})", "add[0].address"},
      {R"({"add":[{"address":"http://a"}]})", "add[0].address"},
      {R"({"add":[{"address":"http://a:1/x"}]})", "add[0].address"},
      {R"({"add":[{"address":"http://0.0.0.0:1"}]})", "add[0].address"},
      {R"({"add":[{"address":"http://a:1"},{"address":"http://A:1/"}]})", "add[1].address"},
      {R"({"add":[{"address":"http://a:1","voter":true}]})", "add[0].voter"},
      {R"({"add":[{"address":"http://a:1","learner":"yes"}]})", "add[0].learner"},
      {R"({"add":[{"address":"http://a:1","name":""}]})", "add[0].name"},
      {R"({"add":[{"address":"http://a:1","name":"a\nb"}]})", "add[0].name"},
      {R"({"add":[{"address":"http://a:1","name":")" + long_name + R"("}]})", "add[0].name"},
      {R"({"update":[{"id":1}]})", "update[0].address"},
      {R"({"update":[{"address":"http://a:1"}]})", "update[0].id"},
      {R"({"update":[{"id":1,"address":"http://a:1"},{"id":1,"address":"http://b:1"}]})",
       "update[1].id"},
      {R"({"update":[{"id":1,"address":"http://a:1"},{"id":2,"address":"http://a:1"}]})",
       "update[1].address"},
      {R"({"remove":)" + list_of("1", 65) + "}", "remove[1]"},
      {R"({"add":)" + list_of(R"({"address":"http://a:1"})", 2) + "}", "add[1].address"},
  };
  for (const auto& [body, field] : cases) {
    CAPTURE(body);
    raft::MembersRequest change;
    const auto problem = read_members(body, change);
    REQUIRE(problem.has_value());
    CHECK(problem->status == 400);
    CHECK(problem->code == "invalid_field");
    CHECK(problem->field == field);
  }
  raft::MembersRequest change;
  CHECK(read_members("{", change)->code == "malformed");
  CHECK(read_members("", change)->code == "malformed");
  std::string many = R"({"remove":[)";
  for (int i = 0; i < 65; ++i) many += (i == 0 ? "" : ",") + std::to_string(i);
  const auto problem = read_members(many + "]}", change);
  REQUIRE(problem.has_value());
  CHECK(problem->field == "remove");
  CHECK(problem->limit == 64);
}

TEST_CASE("the parameters and headers of a change are checked") {
  const auto request = request_of<ChangeMembersRequest>(
      "POST /cluster/members?wait=30s&force&timeout=1s", "Content-Length: 0\r\n");
  CHECK(request.wait == seconds(30));
  CHECK(request.change.force == raft::MembersRequest::Force::yes);
  CHECK(request_of<ChangeMembersRequest>("POST /cluster/members?wait=10m").wait == seconds(600));
  check_refused_values("POST /cluster/members?", "wait", {"", "=", "=0", "=30", "=601s", "=11m"});
  check_refused_values("POST /cluster/members?", "force", {"=yes", "=2"});
  check_refused_values("POST /cluster/members?", "timeout", {"=1ms", "=61s"});
  check_refused("POST /cluster/members?to=1", "to");
  check_refused("GET /cluster?wait=1s", "wait");
  CHECK(says(ask("POST /cluster/members", "Idempotency-Key: k\r\n"), 400, "invalid_field"));
  CHECK(says(ask("POST /cluster/members", "If-Match: *\r\n"), 400, "invalid_field"));
  CHECK(says(ask("GET /cluster/members"), 405, "method_not_allowed"));
  CHECK(is_accepted(ask("GET /cluster")));
}

TEST_CASE("a refused change names what it was refused for") {
  raft::MembersRequest change;
  change.add.push_back({"http://h:5009", "", raft::Goal::vote});
  change.remove = {raft::NodeId(1), raft::NodeId(7)};
  change.update.push_back({raft::NodeId(9), "http://h:5001"});
  const raft::Configuration none;
  const auto refused = [&](raft::MembersRefusal refusal) {
    return problem_of(refusal, change, none);
  };
  Problem problem = refused({.why = Why::unknown_node, .nodes = {raft::NodeId(7)}});
  CHECK(problem.status == 400);
  CHECK(problem.code == "invalid_field");
  CHECK(problem.field == "remove[1]");
  CHECK(refused({.why = Why::unknown_node, .nodes = {raft::NodeId(9)}}).field == "update[0].id");
  problem =
      refused({.why = Why::address_taken, .nodes = {raft::NodeId(3)}, .address = "http://h:5009"});
  CHECK(problem.status == 409);
  CHECK(problem.code == "address_taken");
  CHECK(problem.field == "add[0].address");
  CHECK(has(problem.detail, "member 3"));
  problem = refused({.why = Why::too_many});
  CHECK(problem.code == "too_many_members");
  CHECK(problem.limit == 64);
  CHECK(refused({.why = Why::no_voter}).code == "no_voter");
  problem = refused({.why = Why::would_lose_quorum, .nodes = {raft::NodeId(1), raft::NodeId(2)}});
  std::string body;
  append_problem(body, problem);
  CHECK(problem.status == 409);
  CHECK(has(body, R"("code":"would_lose_quorum")"));
  CHECK(has(body, R"("missing":[1,2])"));
}

TEST_CASE("a change in progress is named by its index and by what it does") {
  raft::Configuration now{{5, 5}, {}};
  now.members = {member(0, 0, raft::Seat::voter, raft::Goal::stay),
                 member(1, 1, raft::Seat::outgoing, raft::Goal::stay),
                 member(4, 3, raft::Seat::incoming, raft::Goal::stay)};
  now.index = raft::Index(9);
  const raft::MembersRefusal refusal{.why = Why::change_in_progress, .index = raft::Index(9)};
  const Problem problem = problem_of(refusal, {}, now);
  std::string body;
  append_problem(body, problem);
  CHECK(problem.status == 409);
  CHECK(has(body, R"("code":"change_in_progress")"));
  CHECK(has(body, R"("configuration":{"index":9})"));
  CHECK(has(problem.detail, "new voters: 3"));
  CHECK(has(problem.detail, "that leave: 1"));
  now.index = raft::Index(8);
  CHECK(has(problem_of(refusal, {}, now).detail, "configuration 9"));
}

TEST_CASE("the leader's view has one row for each id, and a replaced disk is the new one's") {
  node::ClusterView view;
  view.configuration = {{5, 5}, {}};
  view.configuration.index = raft::Index(9);
  view.configuration.members = {member(0, 0, raft::Seat::voter, raft::Goal::stay),
                                member(1, 1, raft::Seat::voter, raft::Goal::leave),
                                member(2, 2, raft::Seat::learner, raft::Goal::stay),
                                member(3, 1, raft::Seat::learner, raft::Goal::vote)};
  view.configuration.members[2].name = "reader";
  view.is_leaders = true;
  view.leader = raft::ServerId(0);
  view.last_index = raft::Index(20);
  view.rows = {
      {raft::ServerId(0), true, node::MemberState::replicating, raft::Index(20)},
      {raft::ServerId(1), false, node::MemberState::unreachable, raft::Index(11)},
      {raft::ServerId(2), true, node::MemberState::snapshot, raft::Index(0)},
      {raft::ServerId(3), true, node::MemberState::promoting, raft::Index(12)},
  };
  std::string body;
  append_cluster(body, view);
  CHECK(
      body ==
      R"({"cluster":"00000000000000050000000000000005","configuration":{"index":9,"joint":false},)"
      R"("members":[{"id":0,"name":"http://h:5000","address":"http://h:5000","voter":true,)"
      R"("leader":true,"incarnation":"00000000000000a0","reachable":true,"match_index":20,)"
      R"("lag":0,"state":"replicating"},)"
      R"({"id":1,"name":"http://h:5001","address":"http://h:5001","voter":false,)"
      R"("incarnation":"00000000000000a3","goal":"vote","reachable":true,"match_index":12,)"
      R"("lag":8,"state":"promoting"},)"
      R"({"id":2,"name":"reader","address":"http://h:5002","voter":false,)"
      R"("incarnation":"00000000000000a2","reachable":true,"match_index":0,"lag":20,)"
      R"("state":"snapshot"}]})"
      "\n");
}

TEST_CASE("a server without a leader reports only what it knows itself") {
  node::ClusterView view;
  view.configuration.members = {member(0, 0, raft::Seat::voter, raft::Goal::stay),
                                member(1, 1, raft::Seat::voter, raft::Goal::stay)};
  view.configuration.members[1].incarnation = {};
  view.rows = {{raft::ServerId(0), true, node::MemberState::unknown, raft::Index(4)},
               {raft::ServerId(1), false, node::MemberState::unreachable, std::nullopt}};
  std::string body;
  append_cluster(body, view);
  CHECK(body ==
        R"({"configuration":{"index":0,"joint":false},)"
        R"("members":[{"id":0,"name":"http://h:5000","address":"http://h:5000","voter":true,)"
        R"("incarnation":"00000000000000a0","reachable":true,"match_index":4},)"
        R"({"id":1,"name":"http://h:5001","address":"http://h:5001","voter":true,)"
        R"("reachable":false,"state":"unreachable"}]})"
        "\n");
}

}  // namespace test_members
