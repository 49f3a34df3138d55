#include "api/context.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "http/serializer.hpp"

namespace vesper::api {
namespace {

// Whether TLS is spoken there makes no difference: the list of a cluster that migrates to TLS says
// https:// while the log still says http://.
bool is_at(const raft::Member& member, const HostPort& place) {
  const auto address = parse_url(member.address);
  return address && authority_of(*address) == authority_of(place);
}

}  // namespace

Context::Context(Settings settings, const Figures& figures, Instant now,
                 std::span<const Endpoint> rows)
    : metrics(EndpointTable(rows).slots()),
      settings_(std::move(settings)),
      figures_(figures),
      table_(rows),
      now_(now),
      started_at_(now) {}

void Context::post(node::Input post) {
  node_->post(std::move(post));
}

// Of two members with one node id, the one with the higher number has the newer disk.
std::vector<raft::Member> Context::members() const {
  std::vector<raft::Member> rows;
  if (node_ != nullptr) rows = node_->raft().configuration().members;
  if (rows.empty())
    for (std::uint32_t id = 0; id < settings_.list.size(); ++id)
      rows.push_back({raft::ServerId(id), url_of(settings_.list[id]), {}});
  const auto order = [](const raft::Member& a, const raft::Member& b) {
    return a.node != b.node ? a.node < b.node : a.id > b.id;
  };
  std::sort(rows.begin(), rows.end(), order);
  const auto twin = [](const auto& a, const auto& b) { return a.node == b.node; };
  rows.erase(std::unique(rows.begin(), rows.end(), twin), rows.end());
  return rows;
}

const raft::Member* Context::own_member() const {
  return node_ == nullptr ? nullptr : node_->raft().configuration().find(node_->raft().self());
}

std::optional<std::string> Context::why_no_member() const {
  if (node_ == nullptr || node_->is_member()) return std::nullopt;
  const std::string url = url_of(settings_.address);
  if (node_->is_removed()) return "has left its cluster; see its log";
  if (!settings_.id && !node_->raft().cluster_seen())
    return fmt::format("waits to be added: `vesper cluster add {}`", url);
  return fmt::format(
      "waits to be taken in again, because its disk is empty and the cluster exists; the leader "
      "does so by itself if this node was a member; otherwise: `vesper cluster add {}`",
      url);
}

std::optional<raft::NodeId> Context::node_id() const {
  if (const raft::Member* own = own_member()) return own->node;
  if (!settings_.id) return std::nullopt;
  return raft::NodeId(*settings_.id);
}

std::string Context::address_of(raft::ServerId id) const {
  if (node_ == nullptr)
    return id.value < settings_.list.size() ? url_of(settings_.list[id.value]) : std::string();
  if (id == node_->raft().self()) return url_of(settings_.address);
  if (std::string reached = figures_.address_of(id); !reached.empty()) return reached;
  const raft::Member* member = node_->raft().configuration().find(id);
  if (member == nullptr) return {};
  const std::uint32_t place = member->node.value;
  return place < settings_.list.size() ? url_of(settings_.list[place]) : member->address;
}

std::optional<ListMismatch> Context::list_mismatch() const {
  if (node_ == nullptr || settings_.list.empty()) return std::nullopt;
  const raft::Configuration& log = node_->raft().configuration();
  if (log.members.empty()) return std::nullopt;
  ListMismatch mismatch;
  const auto rows = members();
  mismatch.log_members = rows.size();
  mismatch.list_servers = settings_.list.size();
  for (const raft::Member& member : rows) {
    const std::uint32_t place = member.node.value;
    if (place >= settings_.list.size()) mismatch.unlisted.push_back(place);
    else if (!is_at(member, settings_.list[place])) mismatch.moved.push_back(place);
  }
  for (std::uint32_t id = 0; id < settings_.list.size(); ++id)
    if (log.find(raft::NodeId(id)) == nullptr) mismatch.no_members.push_back(id);
  if (mismatch.unlisted.empty() && mismatch.no_members.empty() && mismatch.moved.empty())
    return std::nullopt;
  return mismatch;
}

std::string ListMismatch::to_string() const {
  const auto ids = [](std::string_view what, const std::vector<std::uint32_t>& which) {
    std::string text;
    for (const std::uint32_t id : which)
      text += fmt::format("{}{}", text.empty() ? what : std::string_view(", "), id);
    return text;
  };
  return fmt::format("the log has {} members, but the list names {} servers{}{}{}", log_members,
                     list_servers, ids("; members that are not in the list: ", unlisted),
                     ids("; servers in the list that are not members: ", no_members),
                     ids("; members with another address in the list, which is used: ", moved));
}

Id128 Context::cluster_id() const {
  return node_ == nullptr ? Id128{} : node_->raft().peer_state().cluster_id;
}

std::optional<raft::ServerId> Context::leader() const {
  return node_ == nullptr ? std::nullopt : node_->raft().leader();
}

const std::string& Context::standard_fields() {
  timespec wall{};
  clock_gettime(CLOCK_REALTIME_COARSE, &wall);
  const auto current = leader();
  // A server learns its id, and another address, within a second.
  if (wall.tv_sec == second_ && current == shown_leader_) return standard_fields_;
  second_ = wall.tv_sec;
  shown_leader_ = current;
  standard_fields_.clear();
  const auto node = node_id();
  const std::string id = node ? std::to_string(node->value) : std::string();
  const std::string address = current ? address_of(*current) : std::string();
  http::append_standard_fields(standard_fields_, {date_.at(wall.tv_sec), id, address});
  return standard_fields_;
}

}  // namespace vesper::api
