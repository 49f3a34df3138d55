// The requests of clients that wait, one queue per connection, and whether there is room for one
// more. Requests of a connection take effect in order: writes are proposed one after the other
// without waiting; a read is evaluated when every write before it has ended; a write after a read
// waits until that read is evaluated. Writes that no longer wait are in PendingWrites.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "node/forwarding.hpp"
#include "node/ports.hpp"
#include "raft/output.hpp"

namespace vesper::node {

class ClientQueues {
 public:
  // What this server has applied. Reads are released by it.
  struct Progress {
    raft::Index applied;
    raft::Index committed;
    std::uint64_t revision = 0;  // of the store
  };
  // Where a write went: through, to be taken by the caller; or into the queue of its connection.
  enum class Placed : std::uint8_t { through, queued };
  struct Refused {
    Ticket ticket;
    Refusal why = Refusal::timeout;
  };
  struct Expiry {
    std::vector<Refused> refused;
    std::vector<std::uint64_t> connections;  // of the requests
  };

  // Limits on requests and on bytes of writes, both with those in PendingWrites.
  ClientQueues(std::size_t max_requests, std::size_t max_bytes)
      : max_requests_(max_requests), max_bytes_(max_bytes) {}

  // Admission: whether a request with a command of `bytes` may be added. One write is admitted
  // whatever its size.
  bool has_room(std::size_t bytes, const PendingWrites& writes) const;

  // A write passes through unless a request of its connection waits. `write` is moved from only if
  // it is queued.
  [[nodiscard]] Placed add_write(ClientWrite& write);
  // A read that is evaluated when `index` is applied.
  void add_read(ClientRead&& read, raft::Index index);
  // A read of a batch. The leader will tell its index: confirm().
  void add_read_of_batch(ClientRead&& read, std::uint64_t batch);

  // The leader has told the index of the batches before `batch`. True if the connection has to be
  // released now; otherwise release_applied() does it later.
  [[nodiscard]] bool confirm(std::uint64_t connection, std::uint64_t batch,
                             const raft::ReadReady& ready, raft::Index applied);
  // A write of the connection that passed through or was released has ended. False: the client has
  // hung up.
  [[nodiscard]] bool end_write(std::uint64_t connection);

  // Releases requests from the front of the connection's queue until one has to wait. Calls
  // take(ClientWrite&&) for a write, which goes to PendingWrites, and take(ClientRead&&) for a
  // read, which is to be evaluated. `take` does not call this object.
  template <typename Take>
  void release(std::uint64_t connection, const Progress& progress, Take&& take);
  // The same for every connection with a read that waits for an index applied by now.
  template <typename Take>
  void release_applied(const Progress& progress, Take&& take);
  // The same for every connection with a read that waits for a revision reached by now.
  template <typename Take>
  void release_reached(const Progress& progress, Take&& take);

  // The connection has ended: its reads are forgotten. Its writes were admitted, and hanging up
  // does not undo them: they are returned.
  std::vector<ClientWrite> leave(std::uint64_t connection);
  // Removes every request that waits.
  std::vector<Ticket> clear();
  // Removes the requests that are past their deadline. `of_read`: why a read ends that waits for
  // something else than a revision.
  Expiry expire(Instant now, std::uint64_t revision, Refusal of_read);
  // At or before the first deadline; kNever if there is none.
  Instant next_expiry() const { return next_expiry_; }

  bool has(std::uint64_t connection) const { return queues_.contains(connection); }
  std::size_t reads() const { return reads_; }              // that wait
  std::size_t writes() const { return writes_; }            // that wait
  std::size_t write_bytes() const { return write_bytes_; }  // of their commands

 private:
  struct WaitingRead {
    ClientRead request;
    std::uint64_t batch = 0;           // of the ReadIndex that it belongs to; 0: of none
    std::optional<raft::Index> index;  // what must be applied before it; nothing: not known yet
  };
  struct Queue {
    std::size_t open_writes = 0;  // taken, not ended; all of them before what is in `line`
    std::deque<std::variant<WaitingRead, ClientWrite>> line;
    std::uint64_t awaits = 0;  // the revision that its first read waits for; 0: none
  };
  // In the order of connections, so that every run does the same.
  using Queues = std::map<std::uint64_t, Queue>;

  void await_revision(std::uint64_t connection, Queue& queue, std::uint64_t revision);
  bool may_evaluate(std::uint64_t connection, Queue& queue, const WaitingRead& read,
                    const Progress& progress);
  void drop_if_idle(Queues::iterator queue);
  void end_reads(std::size_t count);
  void leave_line(const ClientWrite& write);

  const std::size_t max_requests_, max_bytes_;
  Queues queues_;  // a connection without requests here has none
  std::size_t reads_ = 0;
  std::size_t writes_ = 0, write_bytes_ = 0;
  // Connections with reads that wait until the index is applied.
  std::vector<std::pair<raft::Index, std::uint64_t>> unapplied_;
  // {revision, connection} of each queue with a first read that waits for a revision.
  std::set<std::pair<std::uint64_t, std::uint64_t>> awaited_revisions_;
  Instant next_expiry_ = kNever;  // a lower bound
};

template <typename Take>
void ClientQueues::release(std::uint64_t connection, const Progress& progress, Take&& take) {
  const auto it = queues_.find(connection);
  if (it == queues_.end()) return;
  Queue& queue = it->second;
  await_revision(connection, queue, 0);
  while (!queue.line.empty()) {
    if (auto* write = std::get_if<ClientWrite>(&queue.line.front())) {
      leave_line(*write);
      ++queue.open_writes;
      take(std::move(*write));
    } else {
      auto& read = std::get<WaitingRead>(queue.line.front());
      if (!may_evaluate(connection, queue, read, progress)) return;
      take(std::move(read.request));
      end_reads(1);
    }
    queue.line.pop_front();
  }
  drop_if_idle(it);
}

// K5: a read waits until its index is applied.
template <typename Take>
void ClientQueues::release_applied(const Progress& progress, Take&& take) {
  if (unapplied_.empty()) return;
  const auto waiting = std::exchange(unapplied_, {});
  for (const auto& [index, connection] : waiting) {
    if (index > progress.applied) unapplied_.emplace_back(index, connection);
    else release(connection, progress, take);
  }
}

template <typename Take>
void ClientQueues::release_reached(const Progress& progress, Take&& take) {
  while (!awaited_revisions_.empty() && awaited_revisions_.begin()->first <= progress.revision) {
    const std::uint64_t connection = awaited_revisions_.begin()->second;
    awaited_revisions_.erase(awaited_revisions_.begin());
    release(connection, progress, take);
  }
}

}  // namespace vesper::node
