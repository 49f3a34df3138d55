// Leadership handed over because somebody asks for it: a client, or the shutdown of this process
// (thesis 3.10). Raft picks the successor and the moment; here is whom to ask and whom to tell.
#include <algorithm>

#include "node/node.hpp"

namespace vesper::node {
namespace {

constexpr std::size_t kMostTransfers = 64;  // that wait at the same time

}  // namespace

void Node::on_client_transfer(ClientTransfer transfer) {
  if (!admit(transfer.ticket, 0)) return;
  // The only voter leads already, or will: no other server ever can, so waiting has no end.
  const auto& voters = raft_.configuration().voters;
  if (voters.size() == 1 && transfer.to != voters.front().id)
    return clients_.reply(transfer.ticket, Refusal::no_other_member);
  if (transfers_.size() >= kMostTransfers)
    return clients_.reply(transfer.ticket, Refusal::overloaded);
  transfers_ask_at_ = now_;
  transfers_.push_back({std::move(transfer), raft_.leader()});
}

void Node::on_transfer_asked(const TransferAsked& asked) {
  if (raft_.current_term() == asked.term) step(raft::TransferLeadership{asked.to});
}

// Whether the one who leads is the one who was to, or another one than before. Requires a leader.
bool Node::arrived(const PendingTransfer& pending) const {
  return pending.request.to ? pending.request.to == raft_.leader()
                            : pending.from && pending.from != raft_.leader();
}

// A transfer is done when this node has applied an entry of the new leader's term: by then that has
// committed one.
void Node::finish_transfers() {
  const auto leader = raft_.leader();
  if (!leader || applied_term_ != raft_.current_term()) return;
  std::vector<ClientTransfer> done;
  std::erase_if(transfers_, [&](PendingTransfer& pending) {
    if (!arrived(pending)) return false;
    done.push_back(std::move(pending.request));
    return true;
  });
  for (const ClientTransfer& transfer : done)
    clients_.reply(transfer.ticket, TransferResult{*leader, raft_.current_term()});
}

void Node::pump_transfers() {
  finish_transfers();
  const auto leader = raft_.leader();
  if (!leader || now_ < transfers_ask_at_) return;
  for (PendingTransfer& pending : transfers_)
    if (!pending.from) pending.from = leader;
  const auto next = std::find_if(transfers_.begin(), transfers_.end(),
                                 [&](const PendingTransfer& p) { return !arrived(p); });
  if (next == transfers_.end() && !handing_over_) return;
  transfers_ask_at_ = now_ + raft_.config().heartbeat_interval;
  // A leader that was not meant is asked in its turn.
  const auto to = next == transfers_.end() ? std::nullopt : next->request.to;
  if (raft_.is_leader()) step(raft::TransferLeadership{to});
  else if (next != transfers_.end())
    transport_.send(*leader, TransferAsked{raft_.current_term(), to}, false);
}

void Node::expire_transfers() {
  std::vector<Ticket> expired;
  std::erase_if(transfers_, [&](const PendingTransfer& pending) {
    const bool late = pending.request.deadline <= now_;
    if (late) expired.push_back(pending.request.ticket);
    return late;
  });
  const Refusal why = raft_.leader() ? Refusal::timeout : Refusal::no_leader;
  for (const Ticket& ticket : expired) clients_.reply(ticket, why);
}

Instant Node::next_transfer_deadline() const {
  Instant next = kNever;
  for (const PendingTransfer& pending : transfers_) next = std::min(next, pending.request.deadline);
  if (!raft_.leader()) return next;
  const bool asks = std::any_of(transfers_.begin(), transfers_.end(),
                                [&](const PendingTransfer& p) { return !arrived(p); });
  if (asks || (handing_over_ && raft_.is_leader())) next = std::min(next, transfers_ask_at_);
  return next;
}

}  // namespace vesper::node
