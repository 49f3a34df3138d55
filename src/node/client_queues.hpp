// One queue of waiting client requests per connection, and the admission check. The requests of a
// connection take effect in order: writes are proposed one after the other without waiting. A read
// is evaluated once every earlier write has ended. A write after a read waits until that read is
// evaluated. Writes that no longer wait here are in PendingWrites.
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
#include "node/held_requests.hpp"
#include "node/ports.hpp"
#include "raft/output.hpp"

namespace vesper::node {

class ClientQueues {
 public:
  // How far this server has applied the log. It decides which reads can be released.
  struct Progress {
    raft::Index applied;
    raft::Index committed;
    std::uint64_t revision = 0;  // of the store
    // The first instant at which a key ends that is still there, or any instant before.
    kv::LogTime due;
  };
  // What add_write() did with a write. `through`: nothing; the caller carries it out. `queued`: the
  // write waits in the queue of its connection.
  enum class Placed : std::uint8_t { through, queued };
  struct Refused {
    Ticket ticket;
    Refusal why = Refusal::timeout;
  };
  struct Expiry {
    std::vector<Refused> refused;
    std::vector<std::uint64_t> connections;  // of the refused requests
  };

  // Both limits include the writes in PendingWrites and what HeldRequests has. `max_bytes` counts
  // the commands of writes.
  ClientQueues(std::size_t max_requests, std::size_t max_bytes)
      : max_requests_(max_requests), max_bytes_(max_bytes) {}

  // Admission: whether a request with a command of `bytes` may be added. A write larger than the
  // limit is admitted if no other write is held.
  bool has_room(std::size_t bytes, const PendingWrites& writes, const HeldRequests& held) const;

  // A write passes through unless an earlier request of its connection waits. `write` is moved from
  // only if it is queued.
  [[nodiscard]] Placed add_write(ClientWrite& write);
  // Adds a read that is evaluated once `index` is applied.
  void add_read(ClientRead&& read, raft::Index index);
  // Adds a read to a batch. The leader reports the batch's index later, through confirm().
  void add_read_of_batch(ClientRead&& read, std::uint64_t batch);

  // The leader has reported the read index of all batches below `batch`. Returns true if the caller
  // must release the connection now; otherwise release_applied() does so later.
  [[nodiscard]] bool confirm(std::uint64_t connection, std::uint64_t batch,
                             const raft::ReadReady& ready, raft::Index applied);
  // A write of the connection that passed through or was released has ended. Returns false if the
  // client has disconnected.
  [[nodiscard]] bool end_write(std::uint64_t connection);

  // Releases requests from the front of the connection's queue until one has to wait. Calls
  // take(ClientWrite&&) for a write, which the caller adds to PendingWrites, and take(ClientRead&&)
  // for a read, which the caller evaluates. Before that, take.overdue(const ClientRead&) returns
  // the instant at which a key should have ended that the read would find; the read then waits
  // until it has. Nothing: there is none. `take` must not call this object.
  template <typename Take>
  void release(std::uint64_t connection, const Progress& progress, Take&& take);
  // Releases every connection with a read whose index is now applied.
  template <typename Take>
  void release_applied(const Progress& progress, Take&& take);
  // Releases every connection with a read whose revision is now reached.
  template <typename Take>
  void release_reached(const Progress& progress, Take&& take);
  // Releases connections with a read that waits for the end of keys that are gone now, but not too
  // many at once: has_ended() is true if some are left.
  template <typename Take>
  void release_ended(const Progress& progress, Take&& take);
  bool has_ended(kv::LogTime due) const { return awaits_end() && ends_.begin()->first < due; }
  bool awaits_end() const { return !ends_.empty(); }

  // The connection has closed. Its reads are dropped. Its writes were already admitted, and a
  // disconnect does not cancel them, so they are returned for the caller to carry out.
  std::vector<ClientWrite> leave(std::uint64_t connection);
  // Removes all waiting requests and returns their tickets.
  std::vector<Ticket> clear();
  // Removes the requests that are past their deadline. A read that waits for anything but a
  // revision ends with `of_read`.
  Expiry expire(Instant now, std::uint64_t revision, Refusal of_read);
  // A lower bound of the earliest deadline; kNever if no request waits.
  Instant next_expiry() const { return next_expiry_; }

  bool has(std::uint64_t connection) const { return queues_.contains(connection); }
  std::size_t reads() const { return reads_; }    // number that wait
  std::size_t writes() const { return writes_; }  // number that wait
  // Total size of the waiting writes' commands.
  std::size_t write_bytes() const { return write_bytes_; }

 private:
  static constexpr std::size_t kEndedAtOnce = 256;  // they may be reads of large ranges

  struct WaitingRead {
    ClientRead request;
    std::uint64_t batch = 0;  // the ReadIndex batch that it belongs to; 0: none
    // The index that must be applied first. Nothing: not known yet.
    std::optional<raft::Index> index;
    // It waits until every key that was due by this instant has ended. Set once, so that keys that
    // become due meanwhile do not keep it.
    std::optional<kv::LogTime> overdue;
  };
  struct Queue {
    std::size_t open_writes = 0;  // released but not ended; all precede what is in `line`
    std::deque<std::variant<WaitingRead, ClientWrite>> line;
    std::uint64_t awaits = 0;               // the revision that its first read waits for; 0: none
    std::optional<kv::LogTime> awaits_end;  // WaitingRead::overdue of its first read
  };
  // Ordered by connection id, so that every simulation run is deterministic.
  using Queues = std::map<std::uint64_t, Queue>;

  void await_revision(std::uint64_t connection, Queue& queue, std::uint64_t revision);
  void await_end(std::uint64_t connection, Queue& queue, std::optional<kv::LogTime> overdue);
  bool may_evaluate(std::uint64_t connection, Queue& queue, const WaitingRead& read,
                    const Progress& progress);
  void await_nothing(std::uint64_t connection, Queue& queue);
  void drop_if_idle(Queues::iterator queue);
  void end_reads(std::size_t count);
  void leave_line(const ClientWrite& write);

  const std::size_t max_requests_, max_bytes_;
  Queues queues_;  // only connections with requests have a queue
  std::size_t reads_ = 0;
  std::size_t writes_ = 0, write_bytes_ = 0;
  // Connections with a read that waits for the index to be applied.
  std::vector<std::pair<raft::Index, std::uint64_t>> unapplied_;
  // One {Queue::awaits_end, connection} for each queue with a first read that waits for that.
  std::set<std::pair<kv::LogTime, std::uint64_t>> ends_;
  // One {revision, connection} for each queue with a first read that waits for a revision.
  std::set<std::pair<std::uint64_t, std::uint64_t>> awaited_revisions_;
  Instant next_expiry_ = kNever;  // a lower bound
};

template <typename Take>
void ClientQueues::release(std::uint64_t connection, const Progress& progress, Take&& take) {
  const auto it = queues_.find(connection);
  if (it == queues_.end()) return;
  Queue& queue = it->second;
  await_nothing(connection, queue);
  while (!queue.line.empty()) {
    if (auto* write = std::get_if<ClientWrite>(&queue.line.front())) {
      leave_line(*write);
      ++queue.open_writes;
      take(std::move(*write));
    } else {
      auto& read = std::get<WaitingRead>(queue.line.front());
      if (!may_evaluate(connection, queue, read, progress)) return;
      const bool is_first = !read.overdue;
      if (is_first) read.overdue = take.overdue(read.request);
      if (read.overdue && (is_first || *read.overdue >= progress.due))
        return await_end(connection, queue, read.overdue);
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

template <typename Take>
void ClientQueues::release_ended(const Progress& progress, Take&& take) {
  for (std::size_t i = 0; i < kEndedAtOnce && has_ended(progress.due); ++i) {
    const std::uint64_t connection = ends_.begin()->second;
    release(connection, progress, take);
  }
}

}  // namespace vesper::node
