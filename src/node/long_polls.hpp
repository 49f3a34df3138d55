// Reads that wait for a change. A long poll is parked until an event in its range is committed, or
// until its wait is over. Then it is an ordinary read, and goes on to watch its range until it is
// evaluated. So "nothing has changed" holds for the instant of the read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "node/ports.hpp"
#include "node/range_waits.hpp"
#include "node/watch_cursor.hpp"

namespace vesper::node {

class LongPolls;

// Belongs to its read (ClientRead::poll), and ends with it.
class LongPoll final : private RangeWaiter {
 public:
  // Identifies a poll by its connection and request.
  using Key = std::pair<std::uint64_t, std::uint64_t>;

  LongPoll(LongPolls& polls, RangeWaits& waits, Key key, const kv::KeyRange& range,
           std::uint64_t since);
  ~LongPoll();
  LongPoll(const LongPoll&) = delete;
  LongPoll& operator=(const LongPoll&) = delete;

  // Nothing in the range has changed since the revision that the client named. False also if that
  // is not known, because the log since then was not searched to its end.
  bool is_unchanged() const { return !changed_ && !search_; }

 private:
  friend class LongPolls;
  void on_change(const kv::Version& event) override;

  LongPolls& polls_;
  RangeWaits& waits_;
  const Key key_;
  const WatchFilter filter_;
  const std::uint64_t since_;
  RangeWaits::Id entry_ = 0;
  bool changed_ = false;
  std::optional<WatchCursor> search_;  // for a change that was committed before the read came
};

class LongPolls {
 public:
  // The longest wait that is accepted.
  static constexpr Duration kMaxWait = seconds(600);
  // Events that one turn looks at for all polls.
  static constexpr std::size_t kVisitsPerTurn = 4096;

  explicit LongPolls(RangeWaits& waits) : waits_(waits) {}
  LongPolls(const LongPolls&) = delete;
  LongPolls& operator=(const LongPolls&) = delete;

  bool is_idle() const { return polls_.empty(); }
  std::size_t size() const { return polls_.size(); }  // until their reads have ended

  // Parks a read with ClientRead::wait. Requires a range that is not empty, and that no poll has
  // this ticket.
  void add(ClientRead read, const kv::Keyspace& keyspace, Instant now);
  // Continues to search the log for changes that came before their polls.
  void search(const kv::Keyspace& keyspace);
  // Ends the waits that are over.
  void expire(Instant now);
  // Returns the reads that have to be carried out now, with ClientRead::poll and their deadline.
  std::vector<ClientRead> take_due(Instant now);
  // When the next turn is due; kNever if none is.
  Instant deadline(Instant now) const;

  // The store was replaced by a newer one. `replaced_revision`: that of the old one.
  void on_install(std::uint64_t replaced_revision);
  // Removes the parked reads of a connection.
  void leave(std::uint64_t connection);
  // Removes all parked reads, and returns their tickets.
  std::vector<Ticket> clear();

 private:
  friend class LongPoll;
  struct Parked {
    ClientRead read;
    Instant until;
    Duration patience;  // for the read itself, once the wait is over
    bool is_due = false;
  };
  using Parks = std::map<LongPoll::Key, Parked>;

  void make_due(LongPoll::Key key);
  Parks::iterator unpark(Parks::iterator parked);

  RangeWaits& waits_;
  std::map<LongPoll::Key, LongPoll*> polls_;          // parked or not
  std::set<std::pair<Instant, LongPoll::Key>> ends_;  // of the parked ones that are not due
  std::deque<LongPoll::Key> searching_;
  std::vector<LongPoll::Key> due_;
  Parks parked_;  // destroyed first, because its polls refer to the other members
};

}  // namespace vesper::node
