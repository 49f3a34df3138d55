// What the request handlers know about the server: settings, node, endpoint table, metrics and
// shutdown state. server::Server owns it. It changes only between turns, except through the node
// itself.
#pragma once

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/chaos.hpp"
#include "api/endpoint.hpp"
#include "api/figures.hpp"
#include "api/metrics.hpp"
#include "api/refusal_counts.hpp"
#include "api/samples.hpp"
#include "api/settings.hpp"
#include "base/time.hpp"
#include "http/values.hpp"
#include "node/node.hpp"

namespace vesper::api {

// The members in the log differ from the servers in this node's list. All by node id.
struct ListMismatch {
  std::size_t log_members = 0, list_servers = 0;
  std::vector<std::uint32_t> unlisted;    // members that are not in the list
  std::vector<std::uint32_t> no_members;  // servers in the list that are not members
  std::vector<std::uint32_t> moved;       // members with another address in the list

  bool operator==(const ListMismatch&) const = default;
  std::string to_string() const;  // for the log
};

class Context {
 public:
  // `figures` must outlive the context. It is queried whenever /status or /metrics is rendered, and
  // for each sample.
  Context(Settings settings, const Figures& figures, Instant now,
          std::span<const Endpoint> rows = endpoints());

  const Settings& settings() const { return settings_; }
  const Figures& figures() const { return figures_; }
  const EndpointTable& table() const { return table_; }
  Instant now() const { return now_; }  // the time at which this turn began
  void set_now(Instant now) { now_ = now; }
  Instant started_at() const { return started_at_; }

  // Null: there is no audit log.
  AuditSink* audit_sink() const { return audit_sink_; }
  void set_audit_sink(AuditSink* sink) { audit_sink_ = sink; }

  // Null until the log has been recovered.
  node::Node* node() { return node_; }
  const node::Node* node() const { return node_; }
  // Posts to the node's mailbox. Requires a node.
  void post(node::Input post);
  void attach(node::Node& node) { node_ = &node; }
  // Shutdown has two phases. While draining, the server accepts no new connections, serves requests
  // on the open ones, and closes each after its next answer. While shutting down, it refuses
  // requests.
  bool draining() const { return draining_; }
  bool shutting_down() const { return shutting_down_; }
  void set_draining() { draining_ = true; }
  void set_shutting_down() { draining_ = shutting_down_ = true; }

  // While clients need no token, only POST /auth/enable from this machine is served, beside what
  // is open to everyone.
  bool is_closed_until_auth() const { return closed_until_auth_; }
  void close_until_auth() { closed_until_auth_ = true; }

  // Clients needed tokens when this server ran last. Until it is known whether they still do, only
  // what is open to everyone is served.
  bool is_closed_until_tokens_known() const { return closed_until_tokens_known_; }
  void close_until_tokens_known() { closed_until_tokens_known_ = true; }
  void set_tokens_known() { closed_until_tokens_known_ = false; }

  // Null unless this server offers /chaos. `port` must outlive the context.
  ChaosPort* chaos() const { return chaos_; }
  void offer_chaos(ChaosPort& port) { chaos_ = &port; }

  // One member for each node id, in the order of the ids: the newest disk, if a lost one is being
  // replaced. The servers in the list until the log has members.
  std::vector<raft::Member> members() const;
  // This server in the latest configuration. Null: it is no member.
  const raft::Member* own_member() const;
  // Why this server takes no requests, because it is not a member, or not yet: "waits to be added".
  // Nothing: it is one, or may become one of the founders.
  std::optional<std::string> why_no_member() const;
  // What people call this server. Nothing: no one has named it yet.
  std::optional<raft::NodeId> node_id() const;
  // The URL under which this server reaches the member. The log decides which servers are members,
  // but an address in this server's list wins for finding one: this server dials it, and so can a
  // client. Empty if no address is known.
  std::string address_of(raft::ServerId id) const;
  // Nothing if the list names exactly the members, or if no member is known yet.
  std::optional<ListMismatch> list_mismatch() const;
  std::optional<raft::ServerId> leader() const;
  // None until this node knows its cluster.
  Id128 cluster_id() const;

  // The header fields of every answer, serialized. Valid until the next call.
  const std::string& standard_fields();

  Metrics metrics;
  Samples samples;
  RefusalCounts refusals;  // for the audit log

 private:
  const Settings settings_;
  bool closed_until_auth_ = false;
  bool closed_until_tokens_known_ = false;
  const Figures& figures_;
  const EndpointTable table_;
  Instant now_;
  Instant started_at_;
  AuditSink* audit_sink_ = nullptr;
  node::Node* node_ = nullptr;
  ChaosPort* chaos_ = nullptr;
  bool draining_ = false;
  bool shutting_down_ = false;

  http::DateCache date_;
  std::time_t second_ = -1;
  std::optional<raft::ServerId> shown_leader_;
  std::string standard_fields_;
};

}  // namespace vesper::api
