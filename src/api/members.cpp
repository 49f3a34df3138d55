#include "api/members.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/json_fields.hpp"
#include "api/read_options.hpp"
#include "http/host_port.hpp"
#include "http/values.hpp"
#include "json/document.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr std::size_t kMaxMemberName = 255;  // bytes

// The lists of ids in a request, with their names.
struct NodeList {
  std::string_view name;
  std::vector<raft::NodeId> raft::MembersRequest::*nodes;
};
constexpr std::array<NodeList, 3> kNodeLists{{{"remove", &raft::MembersRequest::remove},
                                              {"promote", &raft::MembersRequest::promote},
                                              {"demote", &raft::MembersRequest::demote}}};

class ChangeReader {
 public:
  explicit ChangeReader(raft::MembersRequest& change) : change_(change) {}

  Problem& problem() { return fields_.problem(); }

  bool read(json::Value root) {
    const JsonPath path;
    if (!fields_.check_members(path, root, {"add", "remove", "promote", "demote", "update"}))
      return false;
    const auto addition = [this](const JsonPath& at, json::Value value) {
      return read_addition(at, value);
    };
    if (!read_list(path, root, "add", addition)) return false;
    for (const NodeList& list : kNodeLists) {
      const auto node = [&](const JsonPath& at, json::Value value) {
        return read_node(at, value, named_, change_.*list.nodes);
      };
      if (!read_list(path, root, list.name, node)) return false;
    }
    const auto move = [this](const JsonPath& at, json::Value value) {
      return read_move(at, value);
    };
    if (!read_list(path, root, "update", move)) return false;
    if (elements_ > 0) return true;
    return fields_.fail(path, "asks for no change; see POST /cluster/members in the documentation");
  }

 private:
  template <typename Read>
  bool read_list(const JsonPath& parent, json::Value root, std::string_view name,
                 const Read& read) {
    const json::Value list = root.find(name);
    const JsonPath path = parent.member(name);
    if (!list.exists()) return true;
    if (list.kind() != json::Kind::array) return fields_.fail_type(path, list, "an array");
    std::size_t index = 0;
    for (const auto& element : list) {
      if (index == raft::kMaxServers)
        return fields_.fail_limit(path, fmt::format("has more than {} elements", raft::kMaxServers),
                                  raft::kMaxServers);
      if (!read(path.element(index++), element.value)) return false;
      ++elements_;
    }
    return true;
  }

  // No id occurs twice in `named`.
  bool read_node(const JsonPath& path, json::Value value, std::vector<raft::NodeId>& named,
                 std::vector<raft::NodeId>& nodes) {
    std::uint64_t number = 0;
    // A string may hold a number that has 64 bits; an id has not.
    if (value.kind() == json::Kind::string) return fields_.fail_type(path, value, "a number");
    if (!fields_.read_unsigned(path, value, 0, raft::kMaxServerId, number)) return false;
    const raft::NodeId node(static_cast<std::uint32_t>(number));
    if (std::find(named.begin(), named.end(), node) != named.end())
      return fields_.fail(path, fmt::format("names member {} a second time", number));
    named.push_back(node);
    nodes.push_back(node);
    return true;
  }

  bool read_address(const JsonPath& parent, json::Value object, std::string& address) {
    const JsonPath path = parent.member("address");
    const json::Value value = object.find("address");
    if (value.kind() != json::Kind::string) return fields_.fail_type(path, value, "a URL");
    const auto server = http::parse_server_url(*value.string());
    if (!server) return fields_.fail(path, "is refused: " + server.error().what);
    address = server->url();
    if (std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end())
      return fields_.fail(path, fmt::format("names {} a second time", address));
    addresses_.push_back(address);
    return true;
  }

  bool read_name(const JsonPath& parent, json::Value object, std::string& name) {
    const JsonPath path = parent.member("name");
    const json::Value value = object.find("name");
    if (!value.exists()) return true;
    if (value.kind() != json::Kind::string) return fields_.fail_type(path, value, "a string");
    name = *value.string();
    const auto is_control = [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    };
    if (!name.empty() && name.size() <= kMaxMemberName &&
        std::none_of(name.begin(), name.end(), is_control))
      return true;
    return fields_.fail_limit(
        path, fmt::format("must be 1 to {} bytes without control characters", kMaxMemberName),
        kMaxMemberName);
  }

  bool read_addition(const JsonPath& path, json::Value value) {
    raft::MembersRequest::Addition addition;
    bool learner = false;
    if (!fields_.check_members(path, value, {"address", "name", "learner"}) ||
        !read_address(path, value, addition.address) || !read_name(path, value, addition.name) ||
        !fields_.read_flag(path, value, "learner", learner))
      return false;
    addition.goal = learner ? raft::Goal::stay : raft::Goal::vote;
    change_.add.push_back(std::move(addition));
    return true;
  }

  bool read_move(const JsonPath& path, json::Value value) {
    std::vector<raft::NodeId> node;
    std::string address;
    if (!fields_.check_members(path, value, {"id", "address"}) ||
        !read_node(path.member("id"), value.find("id"), moved_, node) ||
        !read_address(path, value, address))
      return false;
    change_.update.push_back({node.front(), std::move(address)});
    return true;
  }

  raft::MembersRequest& change_;
  FieldReader fields_{0};
  std::size_t elements_ = 0;
  std::vector<raft::NodeId> named_, moved_;
  std::vector<std::string> addresses_;
};

// The place of an id or of an address in the body.
std::string field_of(const raft::MembersRequest& change, raft::NodeId node) {
  for (const NodeList& list : kNodeLists) {
    const auto& nodes = change.*list.nodes;
    const auto at = std::find(nodes.begin(), nodes.end(), node);
    if (at != nodes.end()) return fmt::format("{}[{}]", list.name, at - nodes.begin());
  }
  for (std::size_t i = 0; i < change.update.size(); ++i)
    if (change.update[i].node == node) return fmt::format("update[{}].id", i);
  return {};
}

std::string field_of(const raft::MembersRequest& change, const std::string& address) {
  for (std::size_t i = 0; i < change.add.size(); ++i)
    if (change.add[i].address == address) return fmt::format("add[{}].address", i);
  for (std::size_t i = 0; i < change.update.size(); ++i)
    if (change.update[i].address == address) return fmt::format("update[{}].address", i);
  return {};
}

std::string join(const std::vector<raft::NodeId>& nodes) {
  std::string text;
  for (const raft::NodeId node : nodes)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", node.value);
  return text;
}

// What the change at `index` does, as far as this server knows.
std::string describe_change(const raft::Configuration& now, raft::Index index) {
  if (now.index != index) return "another change is not complete";
  if (!now.is_joint()) return "its entry is not committed yet";
  std::vector<raft::NodeId> joining, leaving;
  for (const raft::Member& member : now.members) {
    if (member.seat == raft::Seat::incoming) joining.push_back(member.node);
    if (member.seat == raft::Seat::outgoing) leaving.push_back(member.node);
  }
  std::string text = "it is joint";
  if (!joining.empty()) text += "; new voters: " + join(joining);
  if (!leaving.empty()) text += "; voters that leave: " + join(leaving);
  return text;
}

Problem change_in_progress(raft::Index index, const raft::Configuration& now) {
  Problem problem{
      .status = 409,
      .code = "change_in_progress",
      .detail = fmt::format("configuration {} is being changed ({}); nothing was applied",
                            index.value, describe_change(now, index)),
      .hint = "ask again once GET /cluster shows a configuration that is not joint"};
  problem.configuration = index.value;
  return problem;
}

Problem would_lose_quorum(const std::vector<raft::NodeId>& missing) {
  Problem problem{
      .status = 409,
      .code = "would_lose_quorum",
      .detail = fmt::format(
          "the leader cannot reach the members {}, and the other voters that the change leaves are "
          "no majority; nothing was applied",
          join(missing)),
      .hint = "start or remove these members first, or use ?force"};
  problem.missing = missing;
  return problem;
}

Problem unknown_outcome() {
  return {.status = 504,
          .code = "outcome_unknown",
          .detail = "the change may be in a log, but it is not known yet whether it takes effect",
          .hint = "compare GET /cluster with the change before you ask again"};
}

}  // namespace

std::optional<Problem> read_members(std::string_view body, raft::MembersRequest& change) {
  json::Document document;
  if (const auto wrong = document.parse(body)) return problem_of(*wrong);
  ChangeReader reader(change);
  if (reader.read(document.root())) return std::nullopt;
  return std::move(reader.problem());
}

Problem problem_of(const raft::MembersRefusal& refusal, const raft::MembersRequest& change,
                   const raft::Configuration& now) {
  using Why = raft::MembersRefusal::Why;
  const auto invalid = [](std::string field, std::string_view what) {
    Problem problem{.status = 400,
                    .code = "invalid_field",
                    .detail = fmt::format("`{}` {}; nothing was applied", field, what),
                    .hint = "GET /cluster lists the members"};
    problem.field = std::move(field);
    return problem;
  };
  const auto node = [&] { return refusal.nodes.empty() ? raft::NodeId() : refusal.nodes.front(); };
  switch (refusal.why) {
    case Why::not_leading: return refused(node::Refusal::no_leader);
    case Why::change_in_progress: return change_in_progress(refusal.index, now);
    case Why::would_lose_quorum: return would_lose_quorum(refusal.nodes);
    case Why::unknown_node:
      return invalid(field_of(change, node()),
                     fmt::format("is {}, which is the id of no member", node().value));
    case Why::repeated_node:
      return invalid(field_of(change, node()), fmt::format("names {} twice", node().value));
    case Why::address_taken: {
      Problem problem = invalid(
          field_of(change, refusal.address),
          fmt::format("is {}, which is the address of member {}", refusal.address, node().value));
      problem.status = 409;
      problem.code = "address_taken";
      return problem;
    }
    case Why::bad_address:
      return invalid(field_of(change, refusal.address), "is empty or too long");
    case Why::too_many: {
      Problem problem{.status = 409,
                      .code = "too_many_members",
                      .detail = fmt::format("a cluster has at most {} members; nothing was applied",
                                            raft::kMaxServers)};
      problem.limit = raft::kMaxServers;
      return problem;
    }
    case Why::no_voter:
      return {.status = 409,
              .code = "no_voter",
              .detail = "the change would leave no voter; nothing was applied"};
    case Why::too_old: return members_too_old("changes of the members", refusal.nodes);
  }
  VESPER_UNREACHABLE();
}

Problem members_too_old(std::string_view feature, std::vector<raft::NodeId> missing) {
  Problem problem{
      .status = 409,
      .code = "members_too_old",
      .detail = fmt::format("{} need a newer build on the members {}; nothing was applied", feature,
                            join(missing)),
      .hint = "upgrade these members first; GET /cluster lists all"};
  problem.missing = std::move(missing);
  return problem;
}

std::optional<Problem> check_members(const Context&, const http::RequestHead& head,
                                     const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<ChangeMembersRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "wait") {
      if (auto problem = read_wait(parameter, "30s", request.wait)) return problem;
    } else if (parameter.name == "force") {
      bool force = false;
      if (auto problem = read_flag(parameter, force)) return problem;
      if (force) request.change.force = raft::MembersRequest::Force::yes;
    } else {
      return unknown_parameter(parameter);
    }
  }
  if (auto problem = refuse_conditions(head)) return problem;
  if (auto problem =
          refuse_idempotency_key(head, "a change of the members",
                                 "if the outcome is unknown, compare GET /cluster with the change"))
    return problem;
  if (auto problem = check_json_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = json::kMaxBody;
  exchange.too_large = "body_too_large";
  return check_length(head, exchange, Length::optional);
}

void run_members(Context& context, HttpExchange& exchange, std::string body) {
  auto& request = std::get<ChangeMembersRequest>(exchange.request);
  if (auto problem = read_members(body, request.change)) {
    exchange.outcome = std::move(*problem);
    return;
  }
  node::ClientMembers change{
      exchange.ticket, request.change, context.now() + exchange.timeout, {}, exchange.identity};
  if (request.wait.ns > 0) change.wait_until = context.now() + request.wait;
  context.post(std::move(change));
}

// The node replies to a change with its result, or says why there is none.
void render_members(Context& context, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<ChangeMembersRequest>(exchange.request);
  if (const auto* refusal = std::get_if<node::Refusal>(&exchange.reply())) {
    if (*refusal != node::Refusal::outcome_unknown) return render_refusal(*refusal, {}, answer);
    return render_problem(unknown_outcome(), answer);
  }
  if (const auto* refusal = std::get_if<raft::MembersRefusal>(&exchange.reply()))
    return render_problem(
        problem_of(*refusal, request.change, context.node()->raft().configuration()), answer);
  const auto& result = std::get<node::MembersResult>(exchange.reply());
  json::Writer json(answer.body);
  json.begin_object();
  json.begin_object("configuration");
  json.member("index", result.index.value);
  json.member("joint", result.is_joint);
  json.end_object();
  if (!result.pending.empty()) {
    json.key("pending");
    json.begin_array();
    for (const raft::NodeId node : result.pending) json.number(node.value);
    json.end_array();
  }
  json.end_object();
  answer.body += '\n';
}

}  // namespace vesper::api
