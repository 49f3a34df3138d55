#include "app/cluster_survey.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "app/call.hpp"
#include "app/credential.hpp"
#include "app/endpoints.hpp"
#include "json/request.hpp"

namespace vesper::app {
namespace {

// A cluster has at most 64 members, so a longer list is not genuine.
constexpr std::size_t kMaxNodes = 256;

void take_status(const Exchange& exchange, SurveyedNode& node) {
  node.accepted = exchange.was_accepted();
  if (exchange.end() != Exchange::End::reply) {
    node.detail = exchange.detail();
    return;
  }
  if (exchange.reply().status != 200) {
    const Reply& reply = exchange.reply();
    const ProblemText problem = read_problem(reply.body);
    node.is_denied = exit_code_of(reply.status, problem.code, Access::read) == kExitUnauthorized;
    node.detail = node.is_denied ? describe(problem, reply.status)
                                 : fmt::format("answered with status {}", reply.status);
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

}  // namespace

Duration survey_timeout() {
  return client_token().empty() ? seconds(1) : seconds(3);
}

void ClusterSurvey::ask(const std::vector<HostPort>& endpoints, const RunExchanges& run_all) {
  for (const HostPort& server : endpoints) add(server);
  std::size_t asked = 0;
  while (asked < nodes_.size()) {
    ask_from(asked, run_all);
    const std::size_t known = nodes_.size();
    for (std::size_t i = asked; i < known; ++i) add_members_of(*nodes_[i]);
    asked = known;
  }
  drop_old_addresses();
  std::stable_sort(nodes_.begin(), nodes_.end(), [](const auto& a, const auto& b) {
    return a->id.value_or(UINT64_MAX) < b->id.value_or(UINT64_MAX);
  });
}

const SurveyedNode* ClusterSurvey::leader() const {
  const SurveyedNode* found = nullptr;
  for (const auto& node : nodes_)
    if (node->member("role").string() == "leader" &&
        (found == nullptr || node->number("term") > found->number("term")))
      found = node.get();
  return found;
}

bool ClusterSurvey::any_reachable() const {
  return std::any_of(nodes_.begin(), nodes_.end(), [](const auto& n) { return n->reachable; });
}

std::optional<std::string> ClusterSurvey::why_denied() const {
  if (any_reachable()) return std::nullopt;
  for (const auto& node : nodes_)
    if (node->is_denied) return node->detail;
  return std::nullopt;
}

int ClusterSurvey::exit_code() const {
  if (leader() != nullptr) return kExitOk;
  return why_denied() ? kExitUnauthorized : kExitUnavailable;
}

std::optional<std::uint64_t> ClusterSurvey::lag_of(const SurveyedNode& node) const {
  const SurveyedNode* first = leader();
  if (first == nullptr) return std::nullopt;
  const std::uint64_t committed = first->number("commit_index");
  const std::uint64_t applied = node.number("applied_index");
  return committed > applied ? committed - applied : 0;
}

SurveyedNode* ClusterSurvey::find(const HostPort& server) {
  for (const auto& node : nodes_)
    if (node->server == server) return node.get();
  return nullptr;
}

SurveyedNode* ClusterSurvey::add(const HostPort& server) {
  if (SurveyedNode* node = find(server)) return node;
  if (nodes_.size() == kMaxNodes) return nullptr;
  nodes_.push_back(std::make_unique<SurveyedNode>());
  nodes_.back()->server = server;
  return nodes_.back().get();
}

void ClusterSurvey::ask_from(std::size_t first, const RunExchanges& run_all) {
  const Instant finish_by = monotonic_now() + timeout_;
  std::vector<std::unique_ptr<Exchange>> exchanges;
  for (std::size_t i = first; i < nodes_.size(); ++i)
    exchanges.push_back(std::make_unique<Exchange>(
        nodes_[i]->server, make_request(nodes_[i]->server, "GET", "/status"), timeout_, finish_by));
  run_all(exchanges);
  for (std::size_t i = 0; i < exchanges.size(); ++i) take_status(*exchanges[i], *nodes_[first + i]);
}

void ClusterSurvey::add_members_of(const SurveyedNode& teller) {
  for (const auto& member : teller.member("members")) {
    const auto address = member.value.find("address").string();
    const auto server = parse_endpoint(address.value_or(""));
    const auto id = member.value.find("id").uint64();
    if (!server || (id && answers_elsewhere(*id, teller.cluster))) continue;
    const std::size_t known = nodes_.size();
    SurveyedNode* node = add(server.value());
    if (node == nullptr) continue;
    if (nodes_.size() > known) node->is_hearsay = true;
    if (node->id) continue;
    node->id = id;
    node->cluster = teller.cluster;
  }
}

// A node with an outdated list may name another one's old address. Such an address is dropped if
// that server answers elsewhere.
void ClusterSurvey::drop_old_addresses() {
  std::vector<std::unique_ptr<SurveyedNode>> all = std::move(nodes_), old;
  nodes_.clear();
  for (auto& node : all)
    (node->is_hearsay && !node->reachable && node->id ? old : nodes_).push_back(std::move(node));
  for (auto& node : old)
    if (!answers_elsewhere(*node->id, node->cluster)) nodes_.push_back(std::move(node));
}

bool ClusterSurvey::answers_elsewhere(std::uint64_t id, const std::string& cluster) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
    return node->reachable && node->id == id && node->cluster == cluster;
  });
}

std::vector<HostPort> ask_for_members(const HostPort& server, Duration within) {
  const std::array exchanges{std::make_unique<Exchange>(
      server, make_request(server, "GET", "/status"), within, monotonic_now() + within)};
  run(exchanges);
  SurveyedNode node;
  take_status(*exchanges[0], node);
  std::vector<HostPort> named;
  // A node that hears no leader may be cut off, and may not know that the members have changed.
  if (node.member("leader").kind() == json::Kind::null) return named;
  for (const auto& member : node.member("members")) {
    if (named.size() == kMaxNodes) break;
    if (auto address = parse_endpoint(member.value.find("address").string().value_or("")))
      named.push_back(std::move(*address));
  }
  return named;
}

bool learn_members(std::vector<HostPort>& endpoints, Duration within) {
  ClusterSurvey survey(within);
  survey.ask(endpoints);
  const std::size_t before = endpoints.size();
  for (const auto& node : survey.nodes())
    if (node->is_hearsay && node->reachable) endpoints.push_back(node->server);
  return endpoints.size() > before;
}

std::string uptime_text(std::uint64_t ms) {
  const std::uint64_t s = ms / 1000;
  if (s < 60) return fmt::format("{}.{}s", s, ms % 1000 / 100);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
  return fmt::format("{}d{:02}h", s / 86400, s % 86400 / 3600);
}

}  // namespace vesper::app
