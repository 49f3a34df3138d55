// `vesper status`: shows every node's own view of the cluster side by side.
#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "app/commands.hpp"
#include "app/curl.hpp"
#include "app/endpoints.hpp"
#include "app/kv_command.hpp"
#include "base/bytes.hpp"
#include "json/request.hpp"
#include "json/writer.hpp"

namespace vesper::app {
namespace {

// A cluster has at most 64 members, so a longer list is not genuine.
constexpr std::size_t kMaxNodes = 256;
// A node that does not answer within this time is shown as unreachable. A healthy node answers at
// once.
constexpr Duration kTimeout = seconds(1);

struct Node {
  HostPort server;
  std::optional<std::uint64_t> id;  // as the node reports it, otherwise as another node does
  std::string cluster;              // of the node; empty: unknown
  bool is_hearsay = false;          // named by another node, not by the user
  bool reachable = false;
  std::string body;    // of its GET /status
  std::string detail;  // why it is unreachable
  json::Document status;

  json::Value member(std::string_view name) const { return status.root().find(name); }
  std::uint64_t number(std::string_view name) const { return member(name).uint64().value_or(0); }
};

class StatusCommand {
 public:
  explicit StatusCommand(Duration timeout) : timeout_(timeout) {}

  // Asks the given endpoints, then the members that they name, until no new ones appear.
  void ask(const std::vector<HostPort>& endpoints) {
    for (const HostPort& server : endpoints) add(server);
    std::size_t asked = 0;
    while (asked < nodes_.size()) {
      ask_from(asked);
      const std::size_t known = nodes_.size();
      for (std::size_t i = asked; i < known; ++i) add_members_of(*nodes_[i]);
      asked = known;
    }
    drop_old_addresses();
    std::stable_sort(nodes_.begin(), nodes_.end(), [](const auto& a, const auto& b) {
      return a->id.value_or(UINT64_MAX) < b->id.value_or(UINT64_MAX);
    });
  }

  // The node that reports itself as leader. If two do, the one with the lower term has not yet
  // learned that it was replaced.
  const Node* leader() const {
    const Node* found = nullptr;
    for (const auto& node : nodes_)
      if (node->member("role").string() == "leader" &&
          (found == nullptr || node->number("term") > found->number("term")))
        found = node.get();
    return found;
  }

  // As a table with a header, or with tabs between the cells.
  std::string text(OutputFormat format) const {
    std::vector<Row> rows;
    for (const auto& node : nodes_) rows.push_back(row(*node));
    if (format == OutputFormat::raw) return make_tabbed(rows);
    return make_table(
        {"ID", "ADDRESS", "ROLE", "TERM", "LEADER", "LAST", "COMMIT", "APPLIED", "LAG", "UPTIME"},
        rows);
  }

  std::string json() const {
    std::string out;
    json::Writer w(out);
    w.begin_object();
    w.key("leader");
    if (const Node* node = leader()) w.string(node->server.url());
    else w.null();
    w.key("nodes");
    w.begin_array();
    for (const auto& node : nodes_) write_node(*node, w);
    w.end_array();
    w.end_object();
    out += '\n';
    return out;
  }

  bool any_reachable() const {
    return std::any_of(nodes_.begin(), nodes_.end(), [](const auto& n) { return n->reachable; });
  }

 private:
  Node* find(const HostPort& server) {
    for (const auto& node : nodes_)
      if (node->server == server) return node.get();
    return nullptr;
  }

  Node* add(const HostPort& server) {
    if (Node* node = find(server)) return node;
    if (nodes_.size() == kMaxNodes) return nullptr;
    nodes_.push_back(std::make_unique<Node>());
    nodes_.back()->server = server;
    return nodes_.back().get();
  }

  void ask_from(std::size_t first) {
    const Instant finish_by = monotonic_now() + timeout_;
    std::vector<std::unique_ptr<Exchange>> exchanges;
    for (std::size_t i = first; i < nodes_.size(); ++i)
      exchanges.push_back(std::make_unique<Exchange>(
          nodes_[i]->server, make_request(nodes_[i]->server, "GET", "/status"), timeout_,
          finish_by));
    run(exchanges);
    for (std::size_t i = 0; i < exchanges.size(); ++i) take(*exchanges[i], *nodes_[first + i]);
  }

  static void take(const Exchange& exchange, Node& node) {
    if (exchange.end() != Exchange::End::reply) {
      node.detail = exchange.detail();
      return;
    }
    if (exchange.reply().status != 200) {
      node.detail = fmt::format("answered with status {}", exchange.reply().status);
      return;
    }
    if (json::compact(exchange.reply().body, node.body) || node.status.parse(node.body) ||
        !node.member("role").string()) {
      node.status = json::Document();
      node.detail = "the answer is not a status of Vesper";
      return;
    }
    node.reachable = true;
    node.id = node.member("id").uint64();
    node.cluster = node.member("cluster").string().value_or("");
  }

  void add_members_of(const Node& teller) {
    for (const auto& member : teller.member("members")) {
      const auto address = member.value.find("address").string();
      const auto server = parse_endpoint(address.value_or(""));
      const auto id = member.value.find("id").uint64();
      if (!server || (id && answers_elsewhere(*id, teller.cluster))) continue;
      const std::size_t known = nodes_.size();
      Node* node = add(server.value());
      if (node == nullptr) continue;
      if (nodes_.size() > known) node->is_hearsay = true;
      if (node->id) continue;
      node->id = id;
      node->cluster = teller.cluster;
    }
  }

  // A node with an outdated list may name another one's old address. Such an address is dropped if
  // that server answers elsewhere.
  void drop_old_addresses() {
    std::vector<std::unique_ptr<Node>> all = std::move(nodes_), old;
    nodes_.clear();
    for (auto& node : all)
      (node->is_hearsay && !node->reachable && node->id ? old : nodes_).push_back(std::move(node));
    for (auto& node : old)
      if (!answers_elsewhere(*node->id, node->cluster)) nodes_.push_back(std::move(node));
  }

  bool answers_elsewhere(std::uint64_t id, const std::string& cluster) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
      return node->reachable && node->id == id && node->cluster == cluster;
    });
  }

  Row row(const Node& node) const {
    const std::string id = node.id ? std::to_string(*node.id) : "-";
    if (!node.reachable)
      return {id,  node.server.url(),   Cell("unreachable", Style::red), "-", "-", "-", "-", "-",
              "-", escaped(node.detail)};
    Cell role = cell(node.member("role"));
    if (role.text == "leader") role.style = Style::green;
    return {id,
            node.server.url(),
            std::move(role),
            cell(node.member("term")),
            leader_cell(node),
            cell(node.member("last_index")),
            cell(node.member("commit_index")),
            cell(node.member("applied_index")),
            lag(node),
            uptime(node.number("uptime_ms"))};
  }

  // The id of the leader's server if any node says which id has that address; otherwise the
  // address.
  Cell leader_cell(const Node& node) const {
    const auto address = node.member("leader").string();
    for (const auto& member : node.member("members"))
      if (const auto id = member.value.find("id").uint64();
          address && id && member.value.find("address").string() == address)
        return std::to_string(*id);
    const auto server = parse_endpoint(address.value_or(""));
    for (const auto& other : nodes_)
      if (server && other->server == server.value() && other->id) return std::to_string(*other->id);
    return cell(node.member("leader"));
  }

  // The number of entries that the leader has committed and this node has not applied.
  std::string lag(const Node& node) const {
    const Node* first = leader();
    if (first == nullptr) return "-";
    const std::uint64_t committed = first->number("commit_index");
    const std::uint64_t applied = node.number("applied_index");
    return std::to_string(committed > applied ? committed - applied : 0);
  }

  static std::string uptime(std::uint64_t ms) {
    const std::uint64_t s = ms / 1000;
    if (s < 60) return fmt::format("{}.{}s", s, ms % 1000 / 100);
    if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
    if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
    return fmt::format("{}d{:02}h", s / 86400, s % 86400 / 3600);
  }

  static void write_node(const Node& node, json::Writer& w) {
    w.begin_object();
    if (node.id) {
      w.key("id");
      w.number(*node.id);
    }
    w.key("address");
    w.string(node.server.url());
    w.key("reachable");
    w.boolean(node.reachable);
    if (node.reachable) {
      w.key("status");
      w.raw(node.body);
    } else {
      w.key("error");
      w.string(node.detail);
    }
    w.end_object();
  }

  Duration timeout_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace

int run_status(const StatusOptions& options) {
  const ClusterOptions& cluster = options.cluster;
  const auto endpoints = endpoints_of(cluster);
  if (!endpoints) return kExitUsage;
  if (cluster.curl) {
    std::string out;
    for (const HostPort& server : *endpoints)
      out += curl_command(server, {.method = "GET", .target = "/status"}) + "\n";
    return print(out);
  }
  StatusCommand command(cluster.timeout.value_or(kTimeout));
  command.ask(*endpoints);
  const OutputFormat format = cluster.output.value_or(OutputFormat::table);
  const int code = command.leader() != nullptr ? kExitOk : kExitUnavailable;
  const int printed =
      print(format == OutputFormat::json ? command.json() : command.text(format), code);
  if (code != kExitOk)
    complain(command.any_reachable() ? "no leader: none of the nodes that answered leads"
                                     : "no node answered");
  return printed;
}

}  // namespace vesper::app
