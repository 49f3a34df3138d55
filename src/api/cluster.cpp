#include "api/cluster.hpp"

#include <algorithm>
#include <map>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

// Empty: the member stays what it is.
std::string_view to_string(raft::Goal goal) {
  switch (goal) {
    case raft::Goal::stay: return {};
    case raft::Goal::vote: return "vote";
    case raft::Goal::learn: return "learn";
    case raft::Goal::leave: return "leave";
  }
  VESPER_UNREACHABLE();
}

void append_member(json::Writer& json, const node::ClusterView& view, const raft::Member& member) {
  json.begin_object();
  json.member("id", member.node.value);
  json.member("name", member.name);
  json.member("address", member.address);
  json.member("voter", member.votes());
  if (view.leader == member.id) json.member("leader", true);
  if (member.incarnation.value != 0) json.member("incarnation", to_hex(member.incarnation.value));
  if (const auto goal = to_string(member.goal); !goal.empty()) json.member("goal", goal);
  const auto row = std::find_if(view.rows.begin(), view.rows.end(),
                                [&](const auto& known) { return known.member == member.id; });
  if (row != view.rows.end()) {
    json.member("reachable", row->is_reachable);
    if (row->match_index) {
      const std::uint64_t match = row->match_index->value;
      json.member("match_index", match);
      if (view.is_leaders)
        json.member("lag", view.last_index.value - std::min(match, view.last_index.value));
    }
    if (const auto state = member_state_name(row->state); !state.empty())
      json.member("state", state);
  }
  json.end_object();
}

}  // namespace

std::string_view member_state_name(node::MemberState state) {
  switch (state) {
    case node::MemberState::unknown: return {};
    case node::MemberState::replicating: return "replicating";
    case node::MemberState::snapshot: return "snapshot";
    case node::MemberState::probing: return "probing";
    case node::MemberState::unreachable: return "unreachable";
    case node::MemberState::promoting: return "promoting";
  }
  VESPER_UNREACHABLE();
}

void append_cluster(std::string& out, const node::ClusterView& view) {
  const raft::Configuration& configuration = view.configuration;
  // Two members share an id while a replaced disk catches up. The new one is the later one.
  std::map<raft::NodeId, const raft::Member*> members;
  for (const raft::Member& member : configuration.members) members[member.node] = &member;
  json::Writer json(out);
  json.begin_object();
  if (!configuration.cluster_id.is_none()) json.member("cluster", to_hex(configuration.cluster_id));
  json.begin_object("configuration");
  json.member("index", configuration.index.value);
  json.member("joint", configuration.is_joint());
  json.end_object();
  json.key("members");
  json.begin_array();
  for (const auto& [id, member] : members) append_member(json, view, *member);
  json.end_array();
  json.end_object();
  out += '\n';
}

std::optional<Problem> check_cluster(const Context&, const http::RequestHead& head,
                                     const Query& query, HttpExchange& exchange) {
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name != "timeout") return unknown_parameter(parameter);
    if (auto problem = read_timeout(parameter, exchange)) return problem;
  }
  return check_length(head, exchange, Length::optional);
}

void run_cluster(Context& context, HttpExchange& exchange, std::string) {
  context.post(node::ClientCluster{exchange.ticket, context.now() + exchange.timeout});
}

void render_cluster(Context&, const HttpExchange& exchange, Answer& answer) {
  if (const auto* refusal = std::get_if<node::Refusal>(&exchange.reply()))
    return render_refusal(*refusal, {}, answer);
  append_cluster(answer.body, std::get<node::ClusterView>(exchange.reply()));
}

}  // namespace vesper::api
