// /status, /livez and /readyz: this node's own view. None of them waits for anybody.
#include <fmt/core.h>

#include <algorithm>

#include "http/parser.hpp"
#include "http/values.hpp"
#include "json/problem.hpp"
#include "json/writer.hpp"
#include "kv/item.hpp"
#include "server/api.hpp"

namespace vesper::server {
namespace {

void write_members(const Context& context, const raft::Raft* raft, json::Writer& json) {
  json.key("members");
  json.begin_array();
  for (const raft::ServerId id : context.members()) {
    json.begin_object();
    json.key("id");
    json.number(id.value);
    json.key("address");
    json.string(context.address_of(id));
    json.key("voter");
    json.boolean(true);
    if (raft != nullptr && raft->has_regressed(id)) {
      json.key("regressed");
      json.boolean(true);
    }
    json.end_object();
  }
  json.end_array();
  const auto mismatch = context.list_mismatch();
  if (!mismatch) return;
  json.key("list_mismatch");
  json.begin_object();
  json.key("log_voters");
  json.number(mismatch->log_voters);
  json.key("list_servers");
  json.number(mismatch->list_servers);
  json.end_object();
}

void write_limits(const Options& options, json::Writer& json) {
  json.key("limits");
  json.begin_object();
  json.key("key_bytes");
  json.number(kv::kMaxKey);
  json.key("value_bytes");
  json.number(options.max_value);
  json.key("json_body_bytes");
  json.number(json::kMaxBody);
  json.key("json_depth");
  json.number(json::kMaxDepth);
  json.key("target_bytes");
  json.number(http::Limits().max_target);
  json.key("header_bytes");
  json.number(http::Limits().max_header_bytes);
  json.key("connections");
  json.number(options.max_connections);
  json.key("inflight_bytes");
  json.number(options.inflight_bytes);
  json.key("snapshot_bytes");
  json.number(options.snapshot_bytes);
  json.key("snapshot_entries");
  json.number(options.snapshot_entries);
  json.key("log_tail_bytes");
  json.number(options.log_tail_bytes);
  json.key("log_tail_entries");
  json.number(options.log_tail_entries);
  json.end_object();
}

// How long the reply to a request with an Idempotency-Key is kept, and how many are.
void write_idempotency(const node::Status& status, json::Writer& json) {
  json.key("idempotency");
  json.begin_object();
  json.key("kept_ms");
  json.number(static_cast<std::uint64_t>(kv::kReplyKept.ms()));
  json.key("max");
  json.number(kv::kMaxReplies);
  json.key("keys");
  json.number(status.idempotency_keys);
  json.end_object();
}

void write_log(const node::Status& status, const storage::Wal* wal, json::Writer& json) {
  json.key("log");
  json.begin_object();
  json.key("entries");
  json.number(status.log_entries);
  json.key("bytes");
  json.number(status.log_bytes);
  json.key("first_index");
  json.number(status.log_first_index.value);
  json.key("compacted");
  json.boolean(status.log_first_index.value > 1);
  if (wal != nullptr) {
    json.key("segments");
    json.number(wal->stats().segments);
    json.key("file_bytes");
    json.number(wal->stats().file_bytes);
    json.key("disk_full");
    json.boolean(wal->disk_full());
  }
  json.end_object();
}

void write_snapshot(Context& context, const node::Status& status, json::Writer& json) {
  if (status.snapshot_index.value != 0) {
    json.key("snapshot");
    json.begin_object();
    json.key("index");
    json.number(status.snapshot_index.value);
    json.key("bytes");
    json.number(status.snapshot_bytes);
    json.key("age_ms");
    json.number(static_cast<std::uint64_t>(snapshot_age(context).ms()));
    json.key("kept");
    json.number(status.snapshots);
    json.end_object();
  }
  json.key("taking_snapshot");
  json.boolean(status.taking_snapshot);
  if (status.receiving_of == 0) return;
  json.key("receiving_snapshot");
  json.begin_object();
  json.key("chunks");
  json.number(status.receiving_chunks);
  json.key("of");
  json.number(status.receiving_of);
  json.end_object();
}

}  // namespace

Duration snapshot_age(Context& context) {
  const node::Node* node = context.node();
  if (node == nullptr || node->raft().snapshot().is_none()) return {};
  const raft::LogTime now = node->raft().log_time(context.now());
  return std::max(nanoseconds(now.value - node->raft().snapshot().log_time.value), Duration{});
}

void render_status(Context& context, Answer& answer) {
  node::Node* node = context.node();
  const node::Status status = node != nullptr ? node->status(context.now()) : node::Status{};
  const auto leader = context.leader();
  json::Writer json(answer.body);
  json.begin_object();
  json.key("id");
  json.number(context.options().id);
  json.key("address");
  json.string(context.address_of(raft::ServerId(context.options().id)));
  json.key("version");
  json.string(VESPER_VERSION);
  if (!status.cluster_id.is_none()) {
    json.key("cluster");
    json.string(to_hex(status.cluster_id));
  }
  if (status.cluster_seen) {
    json.key("cluster_seen");
    json.string(to_hex(*status.cluster_seen));
  }
  json.key("role");
  json.string(node != nullptr ? status.role : "follower");
  json.key("term");
  json.number(status.term.value);
  json.key("leader");
  if (leader) json.string(context.address_of(*leader));
  else json.null();
  json.key("revision");
  json.number(node != nullptr ? status.revision : 1);
  json.key("last_index");
  json.number(status.last_index.value);
  json.key("commit_index");
  json.number(status.commit_index.value);
  json.key("applied_index");
  json.number(status.applied_index.value);
  json.key("digest");
  json.string(to_hex(status.digest));
  json.key("uptime_ms");
  json.number(static_cast<std::uint64_t>((context.now() - context.started_at()).ms()));
  json.key("keys");
  json.number(status.keys);
  json.key("store_bytes");
  json.number(status.store_bytes);
  write_members(context, node != nullptr ? &node->raft() : nullptr, json);
  write_log(status, context.wal(), json);
  write_snapshot(context, status, json);
  write_limits(context.options(), json);
  write_idempotency(status, json);
  json.end_object();
  answer.body += '\n';
  if (node != nullptr) answer.revision = status.revision;
}

void render_livez(Answer& answer) {
  answer.content_type = "text/plain";
  answer.body += "ok\n";
}

std::optional<Problem> check_readyz(const Query& query, Exchange& exchange) {
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name != "verbose") return unknown_parameter(parameter);
    const auto flag = http::parse_flag(parameter.value);
    if (!flag) return invalid_parameter("verbose", "verbose is a flag: ?verbose or ?verbose=1");
    exchange.verbose = *flag;
  }
  return std::nullopt;
}

std::string why_not_in_cluster(Id128 seen) {
  return fmt::format(
      "cluster {} exists, and this server has no data: it founds no other cluster and stays "
      "unready; "
      "if its disk was lost or --data-dir is wrong, stop it and start it with its own data; if it "
      "is "
      "new, the cluster's members are those that it was founded with",
      to_hex(seen));
}

namespace {

// Why this server belongs to no cluster yet.
std::string why_no_cluster(const node::Node& node, Instant now) {
  const raft::Founding& founding = node.raft().founding();
  if (const auto seen = node.raft().cluster_seen()) return why_not_in_cluster(*seen);
  std::string missing;
  for (const raft::ServerId id : founding.missing())
    missing += fmt::format("{}{}", missing.empty() ? "" : ", ", id.value);
  if (missing.empty()) return "the cluster is being founded";
  if (const auto holder = founding.holder())
    return fmt::format("server {} has a log, and no cluster is founded beside it", holder->value);
  const Instant until = founding.waits_until();
  if (until == kNever)
    return fmt::format(
        "no majority of the list is there to found a cluster; no word from server {}", missing);
  return fmt::format(
      "no word from server {} that it holds no data; a cluster is founded without it "
      "in {} ms",
      missing, std::max(until - now, Duration{}).ms());
}

std::string why_no_leader(const node::Node* node, Instant now) {
  const std::string why = "heard no leader within an election timeout";
  if (node == nullptr) return why;
  if (node->raft().peer_state().cluster_id.is_none())
    return fmt::format("{}: {}", why, why_no_cluster(*node, now));
  const auto seen = node->raft().cluster_seen();
  if (!seen) return why;
  return fmt::format("{}: servers of the list belong to another cluster, {}", why, to_hex(*seen));
}

}  // namespace

void render_readyz(Context& context, const Exchange& exchange, Answer& answer) {
  struct Check {
    std::string_view name;
    bool ok;
    std::string reason;
  };
  const node::Node* node = context.node();
  const bool read = node != nullptr;
  const node::Status status = read ? node->status(context.now()) : node::Status{};
  const Check checks[] = {
      {"log", read && !status.regressed,
       status.regressed
           ? "the data directory is an older copy: it lacks entries that this server has "
             "acknowledged"
           : "still reading the log"},
      {"leader", status.leader_fresh, why_no_leader(node, context.now())},
      {"applied", status.caught_up, "has not applied what the leader had committed"},
      {"running", !context.draining(), "shutting down"},
  };
  bool ready = true;
  for (const Check& check : checks) {
    ready = ready && check.ok;
    if (!exchange.verbose) continue;
    answer.body += check.ok ? fmt::format("[+]{} ok\n", check.name)
                            : fmt::format("[-]{} {}\n", check.name, check.reason);
  }
  if (!exchange.verbose) answer.body += ready ? "ok\n" : "not ready, see /readyz?verbose\n";
  answer.content_type = "text/plain";
  answer.status = ready ? 200 : 503;
  answer.retry = !ready;
}

}  // namespace vesper::server
