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

#include "api/endpoint.hpp"
#include "api/figures.hpp"
#include "api/metrics.hpp"
#include "api/settings.hpp"
#include "base/time.hpp"
#include "http/values.hpp"
#include "node/node.hpp"

namespace vesper::api {

// The voters in the log differ from the servers in this node's list.
struct ListMismatch {
  std::size_t log_voters = 0, list_servers = 0;
  // Voters that are not in the list: this node does not dial them.
  std::vector<std::uint32_t> unlisted;
  std::vector<std::uint32_t> no_members;  // servers in the list that are not voters

  bool operator==(const ListMismatch&) const = default;
  std::string to_string() const;  // for the log
};

class Context {
 public:
  // `figures` must outlive the context. It is queried whenever /status or /metrics is rendered.
  Context(Settings settings, const Figures& figures, Instant now,
          std::span<const Endpoint> rows = endpoints());

  const Settings& settings() const { return settings_; }
  const Figures& figures() const { return figures_; }
  const EndpointTable& table() const { return table_; }
  Instant now() const { return now_; }  // the time at which this turn began
  void set_now(Instant now) { now_ = now; }
  Instant started_at() const { return started_at_; }

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

  // The ids of the members: the log's voters, or the servers in the list until the log has voters.
  std::vector<raft::ServerId> members() const;
  // The URL of a server. The log decides which servers are members, but the list decides their
  // addresses: this server dials the list's address, and so can a client. The address in the log
  // dates from the founding of the cluster; it is used only for a member that the list does not
  // name. Empty if neither knows the id.
  std::string address_of(raft::ServerId id) const;
  // Nothing if the list names exactly the members, or if no member is known yet.
  std::optional<ListMismatch> list_mismatch() const;
  std::optional<raft::ServerId> leader() const;
  // None until this node knows its cluster.
  Id128 cluster_id() const;

  // The header fields of every answer, serialized. Valid until the next call.
  const std::string& standard_fields();

  Metrics metrics;

 private:
  const Settings settings_;
  const Figures& figures_;
  const EndpointTable table_;
  Instant now_;
  Instant started_at_;
  node::Node* node_ = nullptr;
  bool draining_ = false;
  bool shutting_down_ = false;

  http::DateCache date_;
  std::time_t second_ = -1;
  std::optional<raft::ServerId> shown_leader_;
  std::string standard_fields_;
};

}  // namespace vesper::api
