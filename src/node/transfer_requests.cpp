#include "node/transfer_requests.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {
namespace {

constexpr std::size_t kMaxRequests = 64;  // that may wait at the same time

}  // namespace

bool TransferRequests::add(ClientTransfer request, std::optional<raft::ServerId> leader,
                           Instant now) {
  if (requests_.size() >= kMaxRequests) return false;
  ask_at_ = now;
  requests_.push_back({std::move(request), leader});
  return true;
}

void TransferRequests::hand_over(Instant now) {
  handing_over_ = true;
  ask_at_ = now;
}

// True if the requested server leads, or, for any server, if the leader has changed since.
bool TransferRequests::is_fulfilled(const Request& request, raft::ServerId leader) {
  return request.asked.to ? request.asked.to == leader : request.from && request.from != leader;
}

std::vector<Ticket> TransferRequests::finish(raft::ServerId leader) {
  std::vector<Ticket> done;
  std::erase_if(requests_, [&](const Request& request) {
    if (!is_fulfilled(request, leader)) return false;
    done.push_back(request.asked.ticket);
    return true;
  });
  return done;
}

std::optional<TransferRequests::Question> TransferRequests::ask(raft::ServerId leader, Instant now,
                                                                Duration interval) {
  if (now < ask_at_) return std::nullopt;
  for (Request& request : requests_)
    if (!request.from) request.from = leader;
  const auto next = std::find_if(requests_.begin(), requests_.end(), [&](const Request& request) {
    return !is_fulfilled(request, leader);
  });
  if (next == requests_.end() && !handing_over_) return std::nullopt;
  ask_at_ = now + interval;
  if (next == requests_.end()) return Question{};
  return Question{next->asked.to, true, next->asked.identity};
}

std::vector<Ticket> TransferRequests::refuse(const std::optional<kv::Identity>& identity,
                                             raft::ServerId leader) {
  std::vector<Ticket> refused;
  std::erase_if(requests_, [&](const Request& request) {
    if (request.asked.identity != identity || is_fulfilled(request, leader)) return false;
    refused.push_back(request.asked.ticket);
    return true;
  });
  return refused;
}

std::vector<Ticket> TransferRequests::expire(Instant now) {
  std::vector<Ticket> expired;
  std::erase_if(requests_, [&](const Request& request) {
    if (request.asked.deadline > now) return false;
    expired.push_back(request.asked.ticket);
    return true;
  });
  return expired;
}

void TransferRequests::leave(std::uint64_t connection) {
  std::erase_if(requests_, [&](const Request& request) {
    return request.asked.ticket.connection == connection;
  });
}

std::vector<Ticket> TransferRequests::clear() {
  std::vector<Ticket> cleared;
  for (const Request& request : std::exchange(requests_, {}))
    cleared.push_back(request.asked.ticket);
  return cleared;
}

Instant TransferRequests::next_deadline(std::optional<raft::ServerId> leader,
                                        raft::ServerId self) const {
  Instant next = kNever;
  for (const Request& request : requests_) next = std::min(next, request.asked.deadline);
  if (!leader) return next;
  const bool asks = std::any_of(requests_.begin(), requests_.end(), [&](const Request& request) {
    return !is_fulfilled(request, *leader);
  });
  if (asks || (handing_over_ && leader == self)) next = std::min(next, ask_at_);
  return next;
}

}  // namespace vesper::node
