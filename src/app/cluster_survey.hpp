// Asks every node of a cluster for its own view, GET /status: for `vesper status`, `vesper top`,
// and commands whose endpoints do not serve them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/cluster_file.hpp"
#include "app/http_client.hpp"
#include "base/time.hpp"
#include "json/document.hpp"

namespace vesper::app {

// A node that does not answer within this time is shown as unreachable. A healthy node answers at
// once, but to a wrong token only within about a second.
Duration survey_timeout();
// For learn_members() beside a request that is to be tried again.
inline constexpr Duration kLearnTimeout = milliseconds(300);

struct SurveyedNode {
  HostPort server;
  std::optional<std::uint64_t> id;  // as the node reports it, otherwise as another node does
  std::string cluster;              // of the node; empty: unknown
  bool is_hearsay = false;          // named by another node, not by the user
  bool reachable = false;           // it has told its status
  bool is_denied = false;           // it demands a token, or a better one
  bool accepted = false;            // something listens there
  std::string body;                 // of its GET /status, as compact JSON
  std::string detail;               // why it is unreachable
  json::Document status;

  json::Value member(std::string_view name) const { return status.root().find(name); }
  std::uint64_t number(std::string_view name) const { return member(name).uint64().value_or(0); }
};

// Runs all exchanges until each has finished.
using RunExchanges = std::function<void(std::span<const std::unique_ptr<Exchange>>)>;

class ClusterSurvey {
 public:
  using Nodes = std::vector<std::unique_ptr<SurveyedNode>>;

  explicit ClusterSurvey(Duration timeout = survey_timeout()) : timeout_(timeout) {}

  // Asks the given endpoints, then the members that they name, until no new ones appear. Call only
  // once.
  void ask(const std::vector<HostPort>& endpoints, const RunExchanges& run_all = run);

  // By id; nodes without a known id are last.
  const Nodes& nodes() const { return nodes_; }
  // The node that reports itself as leader, or null. If two do, the one with the lower term has not
  // yet learned that it was replaced.
  const SurveyedNode* leader() const;
  bool any_reachable() const;
  // Why the nodes deny the client access, in the words of one of them. Nothing: a node serves it,
  // or none has answered.
  std::optional<std::string> why_denied() const;
  // kExitOk while a leader serves, kExitUnauthorized if the client is denied, else
  // kExitUnavailable.
  int exit_code() const;
  // The number of entries that the leader has committed and this node has not applied. Nothing
  // without a leader.
  std::optional<std::uint64_t> lag_of(const SurveyedNode& node) const;

 private:
  SurveyedNode* find(const HostPort& server);
  SurveyedNode* add(const HostPort& server);
  void ask_from(std::size_t first, const RunExchanges& run_all);
  void add_members_of(const SurveyedNode& teller);
  void drop_old_addresses();
  bool answers_elsewhere(std::uint64_t id, const std::string& cluster) const;

  Duration timeout_;
  Nodes nodes_;
};

// The members that `server` names. Empty: it names none within `within`, or it hears no leader.
std::vector<HostPort> ask_for_members(const HostPort& server, Duration within);

// Appends the members that these servers name and that answer within `within`. Servers of a cluster
// whose members have changed lead a client to the present ones. Returns whether there are any new.
bool learn_members(std::vector<HostPort>& endpoints, Duration within);

// "1m05s", "2h03m".
std::string uptime_text(std::uint64_t ms);

}  // namespace vesper::app
