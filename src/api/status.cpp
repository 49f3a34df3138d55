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
  for (const raft::Member& member : context.members()) {
    json.begin_object();
    json.member("id", member.node.value);
    json.member("address", context.address_of(member.id));
    // Until a joint configuration ends, the others still decide without it.
    json.member("voter", member.votes() && member.seat != raft::Seat::incoming);
    if (raft != nullptr && raft->has_regressed(member.id)) {
      json.member("regressed", true);
    }
    json.end_object();
  }
  json.end_array();
  const auto mismatch = context.list_mismatch();
  if (!mismatch) return;
  json.begin_object("list_mismatch");
  json.member("log_members", mismatch->log_members);
  json.member("list_servers", mismatch->list_servers);
  json.end_object();
}

void write_limits(const Settings& settings, json::Writer& json) {
  json.begin_object("limits");
  json.member("key_bytes", kv::kMaxKey);
  json.member("value_bytes", settings.max_value);
  json.member("json_body_bytes", json::kMaxBody);
  json.member("json_depth", json::kMaxDepth);
  json.member("target_bytes", http::Limits().max_target);
  json.member("header_bytes", http::Limits().max_header_bytes);
  json.member("connections", settings.max_connections);
  json.member("inflight_bytes", settings.inflight_bytes);
  json.member("leases", settings.max_leases);
  json.member("locks", settings.max_locks);
  json.member("snapshot_bytes", settings.snapshot_bytes);
  json.member("snapshot_entries", settings.snapshot_entries);
  json.member("log_tail_bytes", settings.log_tail_bytes);
  json.member("log_tail_entries", settings.log_tail_entries);
  json.member("watchers", settings.max_watchers);
  json.member("watch_filters", settings.max_watch_filters);
  json.member("all_watch_filters", settings.max_watchers * node::Watches::kMeanRanges);
  json.member("waiters", settings.max_waiters);
  json.member("tokens", kv::kMaxTokens);
  json.member("token_rules", kv::kMaxRules);
  json.member("members", raft::kMaxServers);
  json.end_object();
}

// How long the reply to a request with an Idempotency-Key is kept, how many at most, and how many
// now.
void write_idempotency(const node::Status& status, json::Writer& json) {
  json.begin_object("idempotency");
  json.member("kept_ms", static_cast<std::uint64_t>(kv::kIdempotencyKeyKept.ms()));
  json.member("max", kv::kMaxIdempotencyKeys);
  json.member("keys", status.idempotency_keys);
  json.member("max_bytes", kv::kMaxIdempotencyBytes);
  json.member("bytes", status.idempotency_bytes);
  json.end_object();
}

// What the store holds of the past, and what it keeps while this server leads.
void write_history(const Settings& settings, const node::Status& status, json::Writer& json) {
  const node::HistoryLimits& limits = settings.history;
  json.begin_object("history");
  json.member("oldest_revision", status.oldest_revision);
  json.member("bytes", status.history_bytes);
  json.member("keep_ms", static_cast<std::uint64_t>(limits.keep_time.ms()));
  json.member("keep_bytes", limits.keep_bytes);
  if (limits.keep_revisions != UINT64_MAX) {
    json.member("keep_revisions", limits.keep_revisions);
  }
  json.end_object();
}

void write_quota(const Settings& settings, const node::Status& status, json::Writer& json) {
  json.begin_object("quota");
  json.member("bytes", settings.history.store_bytes);
  json.member("used_bytes", status.store_cost);
  json.member("state", to_string(status.quota));
  json.end_object();
}

void write_tls(const TlsFigures& tls, json::Writer& json) {
  json.begin_object("tls");
  json.key("days_left");
  json.signed_number(tls.days_left);
  if (!tls.why_not_reloaded.empty()) {
    json.member("reload_error", tls.why_not_reloaded);
  }
  json.end_object();
}

void write_log(const node::Status& status, const std::optional<DiskFigures>& disk,
               json::Writer& json) {
  json.begin_object("log");
  json.member("entries", status.log_entries);
  json.member("bytes", status.log_bytes);
  json.member("first_index", status.log_first_index.value);
  json.member("compacted", status.log_first_index.value > 1);
  if (disk) {
    json.member("segments", disk->segments);
    json.member("file_bytes", disk->file_bytes);
    json.member("disk_full", disk->is_full);
  }
  json.end_object();
}

void write_snapshot(Context& context, const node::Status& status, json::Writer& json) {
  if (status.snapshot_index.value != 0) {
    json.begin_object("snapshot");
    json.member("index", status.snapshot_index.value);
    json.member("bytes", status.snapshot_bytes);
    json.member("age_ms", static_cast<std::uint64_t>(snapshot_age(context).ms()));
    json.member("kept", status.snapshots);
    json.end_object();
  }
  json.member("taking_snapshot", status.taking_snapshot);
  if (status.receiving_of == 0) return;
  json.begin_object("receiving_snapshot");
  json.member("chunks", status.receiving_chunks);
  json.member("of", status.receiving_of);
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
  if (const auto id = context.node_id()) json.number(id->value);
  else json.null();
  json.member("address", url_of(context.settings().address));
  json.member("version", VESPER_VERSION);
  if (node == nullptr) {
    json.member("starting", true);
  }
  if (!status.cluster_id.is_none()) {
    json.member("cluster", to_hex(status.cluster_id));
  }
  if (status.cluster_seen) {
    json.member("cluster_seen", to_hex(*status.cluster_seen));
  }
  json.member("role", node != nullptr ? status.role : "follower");
  json.member("term", status.term.value);
  json.key("leader");
  if (leader) json.string(context.address_of(*leader));
  else json.null();
  json.member("revision", node != nullptr ? status.revision : 1);
  json.member("last_index", status.last_index.value);
  json.member("commit_index", status.commit_index.value);
  json.member("applied_index", status.applied_index.value);
  json.member("digest", to_hex(status.digest));
  if (status.divergence) {
    json.begin_object("diverged");
    json.member("index", status.divergence->index.value);
    json.member("digest", to_hex(status.divergence->own));
    json.member("majority_digest", to_hex(status.divergence->majority));
    json.end_object();
  }
  json.member("uptime_ms", static_cast<std::uint64_t>((context.now() - context.started_at()).ms()));
  // The page asks for /chaos only if it is there: a browser reports each 404 as an error.
  if (context.chaos() != nullptr) json.member("chaos", true);
  json.member("watchers", status.watches.watches);
  json.member("waiters", status.waiters);
  json.member("keys", status.keys);
  json.member("store_bytes", status.store_bytes);
  json.member("leases", status.leases);
  json.member("locks", status.locks);
  json.member("lock_waiters", status.lock_waiters);
  write_members(context, node != nullptr ? &node->raft() : nullptr, json);
  write_log(status, context.figures().disk(), json);
  write_snapshot(context, status, json);
  if (const auto tls = context.figures().tls()) write_tls(*tls, json);
  write_limits(context.settings(), json);
  write_idempotency(status, json);
  write_history(context.settings(), status, json);
  write_quota(context.settings(), status, json);
  json.end_object();
  answer.body += '\n';
  if (node != nullptr) answer.revision = status.revision;
}

}  // namespace vesper::api
