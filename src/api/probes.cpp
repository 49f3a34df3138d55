#include "api/probes.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "http/values.hpp"

namespace vesper::api {
namespace {

// Why this server does not belong to a cluster yet.
std::string why_no_cluster(const node::Node& node, Instant now) {
  const raft::Founding& founding = node.raft().founding();
  if (const auto seen = node.raft().cluster_seen()) return why_not_in_cluster(*seen);
  if (node.raft().config().self == raft::kNoServer) return "it waits to be added to a cluster";
  std::string missing;
  for (const raft::ServerId id : founding.missing())
    missing += fmt::format("{}{}", missing.empty() ? "" : ", ", id.value);
  if (missing.empty()) return "the cluster is being founded";
  if (const auto holder = founding.holder())
    return fmt::format("server {} has a log, so no new cluster is founded", holder->value);
  const Instant until = founding.waits_until();
  if (until == kNever)
    return fmt::format("founding a cluster needs a majority of the list; no word from server {}",
                       missing);
  return fmt::format(
      "no word from server {} that it holds no data; the cluster is founded without it in {} ms",
      missing, std::max(until - now, Duration{}).ms());
}

std::string why_no_leader(const node::Node* node, Instant now) {
  const std::string why = "has not heard from a leader within an election timeout";
  if (node == nullptr) return why;
  if (node->raft().peer_state().cluster_id.is_none())
    return fmt::format("{}: {}", why, why_no_cluster(*node, now));
  if (const auto lost = node->raft().lost_majority(); !lost.empty())
    return fmt::format("{}: {}", why, raft::describe_lost_majority(lost));
  const auto seen = node->raft().cluster_seen();
  if (!seen) return why;
  return fmt::format("{}: a server that counts as a member belongs to another cluster, {}", why,
                     to_hex(*seen));
}

}  // namespace

std::string why_not_in_cluster(Id128 seen) {
  return fmt::format(
      "cluster {} exists, but this server has no data: it does not found another cluster and stays "
      "unready until the cluster takes it in; the leader does so by itself if this server was a "
      "member whose disk was lost, and needs a majority for it (if a majority is lost: `vesper "
      "recover`); if --data-dir is wrong, restart it with its own data; a new server has to be "
      "added",
      to_hex(seen));
}

void render_livez(Context&, const HttpExchange&, Answer& answer) {
  answer.content_type = "text/plain";
  answer.body += "ok\n";
}

std::optional<Problem> check_readyz(const Context&, const http::RequestHead&, const Query& query,
                                    HttpExchange& exchange) {
  auto& request = exchange.request.emplace<ReadyzRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name != "verbose") return unknown_parameter(parameter);
    const auto flag = http::parse_flag(parameter.value);
    if (!flag)
      return invalid_parameter("verbose",
                               "verbose is a flag; use ?verbose, ?verbose=1 or ?verbose=0");
    request.verbose = *flag;
  }
  return std::nullopt;
}

void render_readyz(Context& context, const HttpExchange& exchange, Answer& answer) {
  const bool verbose = std::get<ReadyzRequest>(exchange.request).verbose;
  struct Check {
    std::string_view name;
    bool ok;
    std::string reason;
  };
  const node::Node* node = context.node();
  const bool read = node != nullptr;
  const node::Status status = read ? node->status(context.now()) : node::Status{};
  const auto no_member = context.why_no_member();
  const raft::Member* own = context.own_member();
  const bool catches_up =
      own != nullptr && own->goal == raft::Goal::vote && own->seat != raft::Seat::voter;
  const Check checks[] = {
      {"log", read && !status.regressed,
       status.regressed
           ? "the data directory is an older copy: it lacks entries that this server has "
             "acknowledged"
           : "still reading the log"},
      {"member", !no_member, no_member.value_or("")},
      {"leader", status.leader_fresh, why_no_leader(node, context.now())},
      {"voter", !catches_up, "catching up"},
      {"applied", status.caught_up, "has not yet applied everything that the leader had committed"},
      {"state", !status.divergence, "the state differs from a majority's; see diverged in /status"},
      {"running", !context.draining(), "shutting down"},
  };
  bool ready = true;
  for (const Check& check : checks) {
    ready = ready && check.ok;
    if (!verbose) continue;
    answer.body += check.ok ? fmt::format("[+]{} ok\n", check.name)
                            : fmt::format("[-]{} {}\n", check.name, check.reason);
  }
  if (!verbose) answer.body += ready ? "ok\n" : "not ready; see /readyz?verbose\n";
  answer.content_type = "text/plain";
  answer.status = ready ? 200 : 503;
  answer.retry = !ready;
}

}  // namespace vesper::api
