#include "node/cluster_questions.hpp"

#include <algorithm>

namespace vesper::node {
namespace {

constexpr std::size_t kMaxClusterQuestions = 256;  // that may wait at the same time

}  // namespace

bool ClusterQuestions::add(const ClientCluster& question) {
  if (waiting_.size() >= kMaxClusterQuestions) return false;
  waiting_.push_back({question});
  return true;
}

std::optional<std::uint64_t> ClusterQuestions::ask(Instant now) {
  if (waiting_.empty()) return std::nullopt;
  if (asked_ > answered_ && now < ask_at_) return std::nullopt;
  ++asked_;
  ask_at_ = now + interval_;
  for (Waiting& waiting : waiting_)
    if (waiting.number == 0) waiting.number = asked_;
  return asked_;
}

std::vector<Ticket> ClusterQuestions::answered(std::uint64_t number) {
  answered_ = std::max(answered_, std::min(number, asked_));
  std::vector<Ticket> tickets;
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (waiting.number == 0 || waiting.number > number) return false;
    tickets.push_back(waiting.question.ticket);
    return true;
  });
  return tickets;
}

std::vector<Ticket> ClusterQuestions::expire(Instant now) {
  std::vector<Ticket> tickets;
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (waiting.question.deadline > now) return false;
    tickets.push_back(waiting.question.ticket);
    return true;
  });
  return tickets;
}

void ClusterQuestions::leave(std::uint64_t connection) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    return waiting.question.ticket.connection == connection;
  });
}

Instant ClusterQuestions::deadline() const {
  if (waiting_.empty()) return kNever;
  Instant next = ask_at_;
  for (const Waiting& waiting : waiting_) next = std::min(next, waiting.question.deadline);
  return next;
}

}  // namespace vesper::node
