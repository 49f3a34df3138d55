// What the handlers of requests see of the server. The composition root owns it. It changes only
// between turns, except for what the node itself changes.
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

// The log's voters are not the servers of this node's list.
struct ListMismatch {
  std::size_t log_voters = 0, list_servers = 0;
  std::vector<std::uint32_t> unlisted;  // voters that the list lacks: this node does not dial them
  std::vector<std::uint32_t> no_members;  // servers of the list that are no voters

  bool operator==(const ListMismatch&) const = default;
  std::string to_string() const;  // for people
};

class Context {
 public:
  // `figures` is asked when a page is written, and outlives the context.
  Context(Settings settings, const Figures& figures, Instant now,
          std::span<const Endpoint> rows = endpoints());

  const Settings& settings() const { return settings_; }
  const Figures& figures() const { return figures_; }
  const EndpointTable& table() const { return table_; }
  Instant now() const { return now_; }  // of this turn
  void set_now(Instant now) { now_ = now; }
  Instant started_at() const { return started_at_; }

  // Null until the log has been read.
  node::Node* node() { return node_; }
  const node::Node* node() const { return node_; }
  // Into the node's mailbox. Requires a node.
  void post(node::Input post);
  void attach(node::Node& node) { node_ = &node; }
  // A shutdown has two steps. Draining: new connections are not taken, requests on the others are
  // served, and each connection ends after its next answer. Shutting down: requests are refused.
  bool draining() const { return draining_; }
  bool shutting_down() const { return shutting_down_; }
  void set_draining() { draining_ = true; }
  void set_shutting_down() { draining_ = shutting_down_ = true; }

  // The ids of the members: the log's voters, or the servers of the list until there are any.
  std::vector<raft::ServerId> members() const;
  // The URL at which a server is reached. The log says which servers are members, the list says
  // what their addresses are: this server dials the list's address, and so can a client. The
  // address in the log is the one that the cluster was founded with. It is returned for a member
  // that the list does not name. Empty for an id in neither.
  std::string address_of(raft::ServerId id) const;
  // Nothing while the list names exactly the members, or no log is known.
  std::optional<ListMismatch> list_mismatch() const;
  std::optional<raft::ServerId> leader() const;

  // The fields that every reply carries, as text; good until the next call.
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
