#include "server/context.hpp"

#include <fmt/core.h>

#include <utility>

#include "http/serializer.hpp"

namespace vesper::server {

std::string url_of(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

Context::Context(const Options& options, Instant now)
    : options_(options), now_(now), started_at_(now) {}

void Context::post(node::Post post) {
  node_->post(std::move(post));
}

std::string Context::address_of(raft::ServerId id) const {
  if (node_ != nullptr)
    if (const raft::Voter* voter = node_->raft().configuration().find(id)) return voter->address;
  if (id.value < options_.list.size()) return url_of(options_.list[id.value]);
  return {};
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
  const std::string id = std::to_string(options_.id);
  const std::string address = current ? address_of(*current) : std::string();
  http::append_standard_fields(standard_fields_, {date_.at(wall.tv_sec), id, address});
  return standard_fields_;
}

}  // namespace vesper::server
