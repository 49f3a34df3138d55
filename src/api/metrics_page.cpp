#include "api/metrics_page.hpp"

#include <fmt/core.h>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/read_options.hpp"
#include "api/status.hpp"
#include "base/log.hpp"

namespace vesper::api {
namespace {

class Page {
 public:
  explicit Page(std::string& out) : out_(out) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    out_ += fmt::format("# HELP vesper_{0} {2}\n# TYPE vesper_{0} {1}\n", name, type, help);
  }
  template <typename Value>
  void sample(Value value, std::string_view labels = {}, std::string_view suffix = {}) {
    if (labels.empty()) out_ += fmt::format("vesper_{}{} {}\n", name_, suffix, value);
    else out_ += fmt::format("vesper_{}{}{{{}}} {}\n", name_, suffix, labels, value);
  }
  template <typename Value>
  void single(std::string_view name, std::string_view type, std::string_view help, Value value) {
    family(name, type, help);
    sample(value);
  }
  void histogram(const Histogram& histogram, std::string_view labels = {}) {
    const std::string_view comma = labels.empty() ? "" : ",";
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < Histogram::kBoundsUs.size(); ++i) {
      count += histogram.buckets()[i];
      sample(count,
             fmt::format("{}{}le=\"{}\"", labels, comma,
                         static_cast<double>(Histogram::kBoundsUs[i]) / 1e6),
             "_bucket");
    }
    count += histogram.buckets().back();
    sample(count, fmt::format("{}{}le=\"+Inf\"", labels, comma), "_bucket");
    sample(histogram.sum_seconds(), labels, "_sum");
    sample(count, labels, "_count");
  }

 private:
  std::string& out_;
  std::string_view name_;
};

void node_metrics(const node::Status& status, Page& page) {
  page.family("role", "gauge", "1 for the current role of this node, 0 for the others.");
  for (const std::string_view role : {"leader", "follower", "candidate", "learner"})
    page.sample(status.role == role ? 1 : 0, fmt::format("role=\"{}\"", role));
  page.single("is_leader", "gauge", "1 while this node is the leader, otherwise 0.",
              status.role == "leader" ? 1 : 0);
  page.single("has_leader", "gauge", "1 while this node knows of a leader, otherwise 0.",
              status.leader ? 1 : 0);
  page.single("term", "gauge", "Current term.", status.term.value);
  page.single("last_index", "gauge", "Index of the last entry in the log.",
              status.last_index.value);
  page.single("commit_index", "gauge", "Highest index known to be committed.",
              status.commit_index.value);
  page.single("applied_index", "gauge", "Highest index applied to the store.",
              status.applied_index.value);
  page.single("revision", "gauge", "Revision of the store.", status.revision);
  page.single("keys", "gauge", "Keys in the store.", status.keys);
  page.single("store_bytes", "gauge", "Size of all keys and values in bytes.", status.store_bytes);
  page.single("leases", "gauge", "Leases in the store.", status.leases);
  page.single("locks", "gauge", "Locks and elections that are held.", status.locks);
  page.single("lock_waiters", "gauge", "Clients in the queues of locks and elections.",
              status.lock_waiters);
  page.single("history_bytes", "gauge",
              "What old versions and deletes count for in the quota, in bytes.",
              status.history_bytes);
  page.single("oldest_revision", "gauge", "The oldest revision that can be read.",
              status.oldest_revision);
  page.single("quota_used_bytes", "gauge", "What the store counts for in the quota, in bytes.",
              status.store_cost);
  page.single("quota_near", "gauge", "1 if at least 80 percent of the quota is used.",
              status.quota == node::QuotaState::fine ? 0u : 1u);
  page.single("quota_exceeded", "gauge", "1 if writes that make the store grow are refused.",
              status.quota == node::QuotaState::exceeded ? 1u : 0u);
  page.single("diverged", "gauge",
              "1 if this node's state differs from a majority's, so that it is out of service.",
              status.divergence ? 1u : 0u);
  if (status.divergence) {
    page.family("divergence_info", "gauge",
                "Always 1; where this node's state was found to differ is in the labels.");
    page.sample(1, fmt::format("index=\"{}\",digest=\"{}\",majority_digest=\"{}\"",
                               status.divergence->index.value, to_hex(status.divergence->own),
                               to_hex(status.divergence->majority)));
  }
  page.single("idempotency_bytes", "gauge", "Size of the results that are kept, in bytes.",
              status.idempotency_bytes);
  page.single("idempotency_keys", "gauge", "Idempotency keys whose results are kept.",
              status.idempotency_keys);
  page.single("log_entries", "gauge", "Entries in the log.", status.log_entries);
  page.single("log_bytes", "gauge", "Size of the log's entries in bytes.", status.log_bytes);
  page.single("log_first_index", "gauge", "Index of the first entry of the log in memory.",
              status.log_first_index.value);
  page.single("inflight_requests", "gauge", "Client requests that wait for an answer.",
              status.inflight_requests);
  page.single("watchers", "gauge", "Watches of this node.", status.watches.watches);
  page.single("watch_ranges", "gauge", "Ranges of all watches.", status.watches.ranges);
  page.single("waiters", "gauge", "Requests that wait for a change or a lock.", status.waiters);
  page.single("watch_events_total", "counter", "Events sent to watches.", status.watches.events);
  page.single("watch_resets_total", "counter",
              "Watches that began again with the present state, because the history was gone.",
              status.watches.resets);
  page.single("watch_too_slow_total", "counter",
              "Watches that ended because the history was compacted before they had read it.",
              status.watches.too_slow);
  page.single("inflight_bytes", "gauge", "Size of client writes that wait for an answer, in bytes.",
              status.inflight_bytes);
}

void counter_metrics(const node::Counters& counters, Page& page) {
  page.single("leader_changes_total", "counter",
              "Leaders that this node saw take over, itself included.", counters.leader_changes);
  page.single("elections_total", "counter", "Campaigns that this node started, pre-votes included.",
              counters.elections_started);
  page.single("turns_total", "counter", "Turns of the event loop that had work to do.",
              counters.turns);
  page.single("entries_applied_total", "counter", "Entries applied to the store.",
              counters.entries_applied);
  page.single("writes_proposed_total", "counter",
              "Client writes that this node proposed as the leader.", counters.writes_proposed);
  page.single("writes_forwarded_total", "counter",
              "Client writes that this node forwarded to a leader.", counters.writes_forwarded);
  page.single("writes_retried_total", "counter", "Writes proposed again after a change of leader.",
              counters.writes_retried);
  page.single("writes_unknown_total", "counter",
              "Writes that were answered with an unknown outcome.", counters.writes_unknown);
  page.single("idempotency_replays_total", "counter",
              "Retries by clients of this node that were answered with the stored result.",
              counters.writes_replayed);
  page.family("idempotency_refused_total", "counter",
              "Writes by clients of this node that were refused because of their Idempotency-Key.");
  page.sample(counters.idempotency_keys_reused, "reason=\"reused\"");
  page.sample(counters.idempotency_refused_full, "reason=\"full\"");
  page.family("reads_total", "counter", "Reads answered, by the consistency that they had.");
  for (std::size_t level = 0; level < counters.reads.size(); ++level)
    page.sample(counters.reads[level],
                fmt::format("consistency=\"{}\"", to_string(static_cast<node::ReadLevel>(level))));
  page.single("reads_too_stale_total", "counter", "Stale reads refused because of max_staleness.",
              counters.reads_too_stale);
  page.single("read_rounds_total", "counter",
              "ReadIndex rounds, each of which may serve many reads.", counters.read_rounds);
  page.family("batch_entries", "histogram", "Entries per write to the disk.");
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < counters.batch_buckets.size(); ++i) {
    count += counters.batch_buckets[i];
    const bool last = i + 1 == counters.batch_buckets.size();
    page.sample(count, last ? "le=\"+Inf\"" : fmt::format("le=\"{}\"", 1u << i), "_bucket");
  }
  page.sample(counters.batch_sum, {}, "_sum");
  page.sample(count, {}, "_count");
}

void snapshot_metrics(const node::Status& status, const node::Counters& counters, double age,
                      Page& page) {
  page.single("snapshot_index", "gauge",
              "Index of the last entry in the newest snapshot, 0 if there is none.",
              status.snapshot_index.value);
  page.single("snapshot_bytes", "gauge", "Size of the newest snapshot's file in bytes.",
              status.snapshot_bytes);
  page.single("snapshot_age_seconds", "gauge",
              "Age of the last entry in the newest snapshot, by the cluster's clock.", age);
  page.single("snapshots", "gauge", "Snapshots in the data directory.", status.snapshots);
  page.single("snapshot_taking", "gauge", "1 while a snapshot is being taken, otherwise 0.",
              status.taking_snapshot ? 1 : 0);
  page.single("snapshot_receiving_chunks", "gauge",
              "Chunks received so far of the snapshot that the leader is sending.",
              status.receiving_chunks);
  page.single("snapshot_receiving_of", "gauge",
              "All chunks of that snapshot, 0 if none is being received.", status.receiving_of);
  page.single("snapshots_taken_total", "counter", "Snapshots that this node has taken.",
              counters.snapshots_taken);
  page.single("snapshots_installed_total", "counter",
              "Received snapshots that replaced the state of this node.",
              counters.snapshots_installed);
  page.single("snapshots_failed_total", "counter", "Snapshots abandoned for lack of disk space.",
              counters.snapshots_failed);
  page.single("snapshot_chunks_sent_total", "counter", "Snapshot chunks read for followers.",
              counters.snapshot_chunks_sent);
  page.single("snapshot_transfers_resumed_total", "counter",
              "Snapshot transfers that resumed at the chunk that the follower needed.",
              counters.transfers_resumed);
}

void loop_metrics(Metrics& metrics, Instant now, Page& page) {
  page.family("loop_turn_seconds", "histogram",
              "Duration of one turn of the event loop, without the wait.");
  page.histogram(metrics.turn);
  page.single("loop_longest_turn_seconds", "gauge",
              "Longest turn within the last 30 to 60 seconds.",
              static_cast<double>(metrics.longest_turn.at(now).ns) / 1e9);
}

void disk_metrics(const DiskFigures& disk, const Histogram& fsync, Page& page) {
  page.family("fsync_seconds", "histogram", "Duration of one write and fdatasync of the log.");
  page.histogram(fsync);
  page.single("wal_frames_total", "counter", "Frames written to the log.", disk.frames);
  page.single("wal_seals_total", "counter", "Empty frames written to seal an idle log.",
              disk.seals);
  page.single("wal_bytes_total", "counter", "Bytes written to the log.", disk.bytes);
  page.single("wal_segments", "gauge", "Segment files of the log.", disk.segments);
  page.single("wal_file_bytes", "gauge", "Size of all files of the log in bytes.", disk.file_bytes);
  page.single("wal_queued_bytes", "gauge", "Size of entries that wait to be written, in bytes.",
              disk.queued_bytes);
  page.single("disk_full", "gauge", "1 while no segment can be allocated, otherwise 0.",
              disk.is_full ? 1 : 0);
}

void traffic_metrics(const TrafficFigures& traffic, const Metrics& metrics, Page& page) {
  page.single("connections", "gauge", "Open client connections.", traffic.connections);
  page.single("connections_accepted_total", "counter", "Client connections accepted.",
              metrics.connections_accepted);
  page.single("connections_refused_total", "counter",
              "Client connections refused because of the limit.", metrics.connections_refused);
  page.family("client_bytes_total", "counter", "Bytes exchanged with clients.");
  page.sample(traffic.client_bytes_in, "direction=\"in\"");
  page.sample(traffic.client_bytes_out, "direction=\"out\"");
  page.family("peer_bytes_total", "counter", "Bytes exchanged with peers.");
  page.sample(traffic.peer_bytes_in, "direction=\"in\"");
  page.sample(traffic.peer_bytes_out, "direction=\"out\"");
  page.single("peer_links_up", "gauge",
              "Established connections that this node opened to its peers.", traffic.peer_links_up);
  page.single("peer_messages_dropped_total", "counter",
              "Messages dropped because a link was full or down.", traffic.peer_messages_dropped);
}

void tls_metrics(const TlsFigures& tls, const Metrics& metrics, Page& page) {
  page.single("tls_certificate_days_left", "gauge",
              "Days until the certificate of this node expires; negative once it has.",
              tls.days_left);
  page.single("tls_reload_failed", "gauge",
              "1 while changed certificate files cannot be used, otherwise 0.",
              tls.why_not_reloaded.empty() ? 0 : 1);
  page.single("tls_handshakes_failed_total", "counter", "TLS handshakes that failed.",
              metrics.handshakes_failed);
}

}  // namespace

void append_node_metrics(const node::Status& status, std::string& out) {
  Page page(out);
  node_metrics(status, page);
}

void render_metrics(Context& context, const HttpExchange&, Answer& answer) {
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  Page page(answer.body);
  page.family("build_info", "gauge", "Always 1; the version is a label.");
  page.sample(1, "version=\"" VESPER_VERSION "\"");
  page.single("uptime_seconds", "gauge", "Seconds since this process started.",
              static_cast<double>((context.now() - context.started_at()).ms()) / 1e3);
  if (context.node() != nullptr) {
    const node::Status status = context.node()->status(context.now());
    node_metrics(status, page);
    counter_metrics(context.node()->counters(), page);
    snapshot_metrics(status, context.node()->counters(),
                     static_cast<double>(snapshot_age(context).ms()) / 1e3, page);
    if (const auto disk = context.figures().disk())
      disk_metrics(*disk, context.metrics.fsync, page);
  }
  loop_metrics(context.metrics, context.now(), page);
  page.single("log_lines_dropped_total", "counter",
              "Log lines dropped because stderr did not accept them.", log::dropped());
  if (const auto dropped = context.figures().audit_lines_dropped())
    page.single("audit_lines_dropped_total", "counter",
                "Lines dropped because the file of --audit-log did not accept them.", *dropped);
  page.family("requests_total", "counter", "Requests answered, by route and status.");
  for (const auto& [key, count] : context.metrics.requests)
    page.sample(count, fmt::format("route=\"{}\",status=\"{}\"",
                                   context.table().label_of(key.first), key.second));
  page.family("request_seconds", "histogram",
              "Time from the end of a request's head to its answer.");
  for (std::size_t i = 0; i < context.metrics.latency.size(); ++i)
    if (!context.metrics.latency[i].empty())
      page.histogram(context.metrics.latency[i],
                     fmt::format("route=\"{}\"", context.table().label_of(i)));
  traffic_metrics(context.figures().traffic(), context.metrics, page);
  if (const auto tls = context.figures().tls()) tls_metrics(*tls, context.metrics, page);
}

}  // namespace vesper::api
