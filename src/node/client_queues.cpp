#include "node/client_queues.hpp"

#include <algorithm>

namespace vesper::node {

bool ClientQueues::has_room(std::size_t bytes, const PendingWrites& writes,
                            const HeldRequests& held) const {
  const std::size_t requests = writes.waiting() + reads_ + writes_ + held.size();
  const std::size_t present = writes.bytes() + write_bytes_ + held.bytes();
  return requests < max_requests_ && (present == 0 || present + bytes <= max_bytes_);
}

ClientQueues::Placed ClientQueues::add_write(ClientWrite& write) {
  Queue& queue = queues_[write.ticket.connection];
  if (queue.line.empty()) {
    ++queue.open_writes;
    return Placed::through;
  }
  write_bytes_ += write.command.size();
  ++writes_;
  next_expiry_ = std::min(next_expiry_, write.deadline);
  queue.line.emplace_back(std::move(write));
  return Placed::queued;
}

void ClientQueues::add_read(ClientRead&& read, raft::Index index) {
  next_expiry_ = std::min(next_expiry_, read.deadline);
  ++reads_;
  const std::uint64_t connection = read.ticket.connection;
  unapplied_.emplace_back(index, connection);
  queues_[connection].line.emplace_back(WaitingRead{std::move(read), 0, index});
}

void ClientQueues::add_read_of_batch(ClientRead&& read, std::uint64_t batch) {
  next_expiry_ = std::min(next_expiry_, read.deadline);
  ++reads_;
  const std::uint64_t connection = read.ticket.connection;
  queues_[connection].line.emplace_back(WaitingRead{std::move(read), batch, std::nullopt});
}

bool ClientQueues::confirm(std::uint64_t connection, std::uint64_t batch,
                           const raft::ReadReady& ready, raft::Index applied) {
  const auto it = queues_.find(connection);
  if (it == queues_.end()) return false;
  for (auto& waiting : it->second.line) {
    auto* read = std::get_if<WaitingRead>(&waiting);
    if (read == nullptr || read->index || read->batch >= batch) continue;
    read->index = ready.index;
    if (!ready.leader_lease) read->request.options.level = ReadLevel::linearizable;
  }
  if (ready.index <= applied) return true;
  unapplied_.emplace_back(ready.index, connection);
  return false;
}

bool ClientQueues::end_write(std::uint64_t connection) {
  const auto it = queues_.find(connection);
  if (it == queues_.end()) return false;
  VESPER_ASSERT(it->second.open_writes > 0);
  --it->second.open_writes;
  return true;
}

// ---- waiting -----------------------------------------------------------------------------

// Returns whether the read at the front of a queue can be evaluated now. If not, registers what it
// waits for, so that the queue is released again when that happens.
bool ClientQueues::may_evaluate(std::uint64_t connection, Queue& queue, const WaitingRead& read,
                                const Progress& progress) {
  if (queue.open_writes > 0 || !read.index || *read.index > progress.applied) return false;
  // The staleness bound is known for the committed state only, so a stale read waits until every
  // committed entry is applied.
  const ReadOptions& options = read.request.options;
  if (options.level == ReadLevel::stale && progress.applied < progress.committed) {
    unapplied_.emplace_back(progress.committed, connection);
    return false;
  }
  if (progress.revision >= options.min_revision) return true;
  await_revision(connection, queue, options.min_revision);
  return false;
}

// Records which revision the first read of the queue waits for; 0: none. A queue has at most one
// entry in awaited_revisions_.
void ClientQueues::await_revision(std::uint64_t connection, Queue& queue, std::uint64_t revision) {
  if (queue.awaits != 0) awaited_revisions_.erase({queue.awaits, connection});
  queue.awaits = revision;
  if (revision != 0) awaited_revisions_.emplace(revision, connection);
}

// The same for the instant at which a key should have ended.
void ClientQueues::await_end(std::uint64_t connection, Queue& queue,
                             std::optional<kv::LogTime> overdue) {
  if (queue.awaits_end) ends_.erase({*queue.awaits_end, connection});
  queue.awaits_end = overdue;
  if (overdue) ends_.emplace(*overdue, connection);
}

void ClientQueues::await_nothing(std::uint64_t connection, Queue& queue) {
  await_revision(connection, queue, 0);
  await_end(connection, queue, std::nullopt);
}

// ---- leaving ------------------------------------------------------------------------------

void ClientQueues::drop_if_idle(Queues::iterator queue) {
  if (queue->second.line.empty() && queue->second.open_writes == 0) queues_.erase(queue);
}

void ClientQueues::end_reads(std::size_t count) {
  VESPER_ASSERT(reads_ >= count);
  reads_ -= count;
  if (reads_ == 0) unapplied_.clear();
}

void ClientQueues::leave_line(const ClientWrite& write) {
  write_bytes_ -= write.command.size();
  --writes_;
}

std::vector<ClientWrite> ClientQueues::leave(std::uint64_t connection) {
  std::vector<ClientWrite> admitted;
  const auto it = queues_.find(connection);
  if (it == queues_.end()) return admitted;
  for (auto& waiting : it->second.line) {
    if (auto* write = std::get_if<ClientWrite>(&waiting)) {
      leave_line(*write);
      admitted.push_back(std::move(*write));
    } else {
      end_reads(1);
    }
  }
  await_nothing(connection, it->second);
  queues_.erase(it);
  return admitted;
}

std::vector<Ticket> ClientQueues::clear() {
  std::vector<Ticket> cleared;
  for (auto it = queues_.begin(); it != queues_.end();) {
    const auto queue = it++;
    await_nothing(queue->first, queue->second);
    for (const auto& waiting : queue->second.line) {
      if (const auto* write = std::get_if<ClientWrite>(&waiting)) {
        leave_line(*write);
        cleared.push_back(write->ticket);
      } else {
        end_reads(1);
        cleared.push_back(std::get<WaitingRead>(waiting).request.ticket);
      }
    }
    queue->second.line.clear();
    drop_if_idle(queue);
  }
  return cleared;
}

ClientQueues::Expiry ClientQueues::expire(Instant now, std::uint64_t revision, Refusal of_read) {
  Expiry out;
  next_expiry_ = kNever;
  for (auto& [connection, queue] : queues_) {
    const std::size_t before = queue.line.size();
    std::erase_if(queue.line, [&](auto& waiting) {
      auto* write = std::get_if<ClientWrite>(&waiting);
      const Instant deadline =
          write != nullptr ? write->deadline : std::get<WaitingRead>(waiting).request.deadline;
      if (deadline > now) {
        next_expiry_ = std::min(next_expiry_, deadline);
        return false;
      }
      if (write != nullptr) {
        leave_line(*write);
        out.refused.push_back({write->ticket, Refusal::no_leader});
      } else {
        end_reads(1);
        const auto& read = std::get<WaitingRead>(waiting);
        // Once its index is known, the read no longer waits for a leader, only for a revision.
        const bool unreached = read.index && revision < read.request.options.min_revision;
        out.refused.push_back({read.request.ticket, unreached ? Refusal::unreached : of_read});
      }
      return true;
    });
    if (queue.line.size() != before) out.connections.push_back(connection);
  }
  return out;
}

}  // namespace vesper::node
