// `vesper status`: shows every node's own view of the cluster side by side.
#include <fmt/core.h>

#include "app/cluster_survey.hpp"
#include "app/commands.hpp"
#include "app/curl.hpp"
#include "app/endpoints.hpp"
#include "app/kv_command.hpp"
#include "base/bytes.hpp"
#include "json/writer.hpp"

namespace vesper::app {
namespace {

class StatusReport {
 public:
  explicit StatusReport(const ClusterSurvey& survey) : survey_(survey) {}

  // As a table with a header, or with tabs between the cells.
  std::string text(OutputFormat format) const {
    std::vector<Row> rows;
    for (const auto& node : survey_.nodes()) rows.push_back(row(*node));
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
    if (const SurveyedNode* node = survey_.leader()) w.string(node->server.url());
    else w.null();
    w.key("nodes");
    w.begin_array();
    for (const auto& node : survey_.nodes()) write_node(*node, w);
    w.end_array();
    w.end_object();
    out += '\n';
    return out;
  }

 private:
  Row row(const SurveyedNode& node) const {
    const std::string id = node.id ? std::to_string(*node.id) : "-";
    if (!node.reachable) {
      Row row(10, Cell("-"));
      row.front() = id;
      row[1] = node.server.url();
      row[2] = Cell(node.is_denied ? "denied" : "unreachable", Style::red);
      row.back() = escaped(node.detail);
      return row;
    }
    Cell role = cell(node.member("role"));
    if (role.text == "leader") role.style = Style::green;
    if (node.member("diverged").exists()) {
      role.text += ",diverged";
      role.style = Style::red;
    }
    return {id,
            node.server.url(),
            std::move(role),
            cell(node.member("term")),
            leader_cell(node),
            cell(node.member("last_index")),
            cell(node.member("commit_index")),
            cell(node.member("applied_index")),
            lag(node),
            uptime_text(node.number("uptime_ms"))};
  }

  // The id of the leader's server if any node says which id has that address; otherwise the
  // address.
  Cell leader_cell(const SurveyedNode& node) const {
    const auto address = node.member("leader").string();
    for (const auto& member : node.member("members"))
      if (const auto id = member.value.find("id").uint64();
          address && id && member.value.find("address").string() == address)
        return std::to_string(*id);
    const auto server = parse_endpoint(address.value_or(""));
    for (const auto& other : survey_.nodes())
      if (server && other->server == server.value() && other->id) return std::to_string(*other->id);
    return cell(node.member("leader"));
  }

  std::string lag(const SurveyedNode& node) const {
    const auto lag = survey_.lag_of(node);
    return lag ? std::to_string(*lag) : "-";
  }

  static void write_node(const SurveyedNode& node, json::Writer& w) {
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

  const ClusterSurvey& survey_;
};

// A node that takes itself out of service still leads or follows, so the table alone could be taken
// for that of a healthy cluster.
void complain_of_diverged(const ClusterSurvey& survey) {
  bool any = false;
  for (const auto& node : survey.nodes()) {
    const json::Value diverged = node->member("diverged");
    if (!diverged.exists()) continue;
    any = true;
    const auto shown = [&](std::string_view name) { return cell(diverged.find(name)).text; };
    complain(fmt::format(
        "{}: its state has diverged: after entry {} its digest is {}, that of a majority {}",
        node->server.url(), shown("index"), shown("digest"), shown("majority_digest")));
  }
  if (any) hint("start a node whose state has diverged with --discard-state");
}

}  // namespace

int run_status(const StatusOptions& options) {
  const ClusterOptions& cluster = options.cluster;
  const auto endpoints = endpoints_of(cluster);
  if (!endpoints) return kExitUsage;
  if (cluster.curl) {
    std::string out;
    for (const HostPort& server : *endpoints)
      out += curl_command(server, cluster.tls, {.method = "GET", .target = "/status"}) + "\n";
    return print(out);
  }
  ClusterSurvey survey(cluster.timeout.value_or(survey_timeout()));
  survey.ask(*endpoints);
  const StatusReport report(survey);
  const OutputFormat format = cluster.output.value_or(OutputFormat::table);
  const std::optional<std::string> denied = survey.why_denied();
  const int code = survey.exit_code();
  const int printed =
      print(format == OutputFormat::json ? report.json() : report.text(format), code);
  if (denied) complain(*denied);
  else if (code != kExitOk)
    complain(survey.any_reachable() ? "no leader: none of the nodes that answered leads"
                                    : "no node answered");
  complain_of_diverged(survey);
  return printed;
}

}  // namespace vesper::app
