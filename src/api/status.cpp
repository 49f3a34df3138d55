#include "api/status.hpp"

#include <algorithm>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "http/parser.hpp"
#include "json/problem.hpp"
#include "json/writer.hpp"
#include "kv/item.hpp"

namespace vesper::api {
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

void write_limits(const Settings& settings, json::Writer& json) {
  json.key("limits");
  json.begin_object();
  json.key("key_bytes");
  json.number(kv::kMaxKey);
  json.key("value_bytes");
  json.number(settings.max_value);
  json.key("json_body_bytes");
  json.number(json::kMaxBody);
  json.key("json_depth");
  json.number(json::kMaxDepth);
  json.key("target_bytes");
  json.number(http::Limits().max_target);
  json.key("header_bytes");
  json.number(http::Limits().max_header_bytes);
  json.key("connections");
  json.number(settings.max_connections);
  json.key("inflight_bytes");
  json.number(settings.inflight_bytes);
  json.key("snapshot_bytes");
  json.number(settings.snapshot_bytes);
  json.key("snapshot_entries");
  json.number(settings.snapshot_entries);
  json.key("log_tail_bytes");
  json.number(settings.log_tail_bytes);
  json.key("log_tail_entries");
  json.number(settings.log_tail_entries);
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

void write_log(const node::Status& status, const std::optional<DiskFigures>& disk,
               json::Writer& json) {
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
  if (disk) {
    json.key("segments");
    json.number(disk->segments);
    json.key("file_bytes");
    json.number(disk->file_bytes);
    json.key("disk_full");
    json.boolean(disk->is_full);
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

void render_status(Context& context, const HttpExchange&, Answer& answer) {
  node::Node* node = context.node();
  const node::Status status = node != nullptr ? node->status(context.now()) : node::Status{};
  const auto leader = context.leader();
  json::Writer json(answer.body);
  json.begin_object();
  json.key("id");
  json.number(context.settings().id);
  json.key("address");
  json.string(context.address_of(raft::ServerId(context.settings().id)));
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
  write_log(status, context.figures().disk(), json);
  write_snapshot(context, status, json);
  write_limits(context.settings(), json);
  write_idempotency(status, json);
  json.end_object();
  answer.body += '\n';
  if (node != nullptr) answer.revision = status.revision;
}

}  // namespace vesper::api
