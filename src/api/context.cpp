#include "api/context.hpp"

#include <fmt/core.h>

#include <utility>

#include "http/serializer.hpp"

namespace vesper::api {

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

std::vector<raft::ServerId> Context::members() const {
  std::vector<raft::ServerId> ids;
  if (node_ != nullptr)
    for (const raft::Voter& voter : node_->raft().configuration().voters) ids.push_back(voter.id);
  if (ids.empty())
    for (std::uint32_t id = 0; id < settings_.list.size(); ++id) ids.emplace_back(id);
  return ids;
}

std::string Context::address_of(raft::ServerId id) const {
  if (id.value < settings_.list.size()) return url_of(settings_.list[id.value]);
  if (node_ != nullptr)
    if (const raft::Voter* voter = node_->raft().configuration().find(id)) return voter->address;
  return {};
}

std::optional<ListMismatch> Context::list_mismatch() const {
  if (node_ == nullptr) return std::nullopt;
  const raft::Configuration& log = node_->raft().configuration();
  if (log.voters.empty()) return std::nullopt;
  ListMismatch mismatch{log.voters.size(), settings_.list.size(), {}, {}};
  for (const raft::Voter& voter : log.voters)
    if (voter.id.value >= settings_.list.size()) mismatch.unlisted.push_back(voter.id.value);
  for (std::uint32_t id = 0; id < settings_.list.size(); ++id)
    if (log.find(raft::ServerId(id)) == nullptr) mismatch.no_members.push_back(id);
  if (mismatch.unlisted.empty() && mismatch.no_members.empty()) return std::nullopt;
  return mismatch;
}

std::string ListMismatch::to_string() const {
  const auto ids = [](std::string_view what, const std::vector<std::uint32_t>& which) {
    std::string text;
    for (const std::uint32_t id : which)
      text += fmt::format("{}{}", text.empty() ? what : std::string_view(", "), id);
    return text;
  };
  return fmt::format(
      "the log has {} voters, but the list names {} servers{}{}", log_voters, list_servers,
      ids("; members that are not in the list, so this server does not dial them: ", unlisted),
      ids("; servers in the list that are not members: ", no_members));
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
  if (wall.tv_sec == second_ && current == shown_leader_) return standard_fields_;
  second_ = wall.tv_sec;
  shown_leader_ = current;
  standard_fields_.clear();
  const std::string id = std::to_string(settings_.id);
  const std::string address = current ? address_of(*current) : std::string();
  http::append_standard_fields(standard_fields_, {date_.at(wall.tv_sec), id, address});
  return standard_fields_;
}

}  // namespace vesper::api
