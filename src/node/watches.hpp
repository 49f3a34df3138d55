// All watches of this node: opens their streams within limits, wakes those that have something to
// say, and tells them what the node learns. There is no timer per stream. A single stream is in
// watch_stream.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "node/range_waits.hpp"
#include "node/read_batcher.hpp"
#include "node/watch_stream.hpp"

namespace vesper::node {

class Watches final : private WatchHost {
 public:
  // A stream that yields nothing for this long says how far it is, so that its client and those
  // between see that it lives.
  static constexpr Duration kQuiet = seconds(15);
  // Streams that one turn wakes because they are quiet, or because this node is stale or fresh.
  static constexpr std::size_t kWakesPerTurn = 500;
  // Ranges that all watches together may have, for each watch that is allowed.
  static constexpr std::size_t kMeanRanges = 100;
  // Takes the place of a client's connection in ReadBatcher.
  static constexpr std::uint64_t kConnection = UINT64_MAX;

  struct Figures {
    std::size_t watches = 0, ranges = 0;  // now, in all streams
    std::uint64_t events = 0, too_slow = 0, resets = 0;
  };

  Watches(RangeWaits& waits, std::size_t max_watches) : waits_(waits), max_watches_(max_watches) {}
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;
  ~Watches();

  // A stream without watches. It must not outlive this object.
  std::unique_ptr<WatchStream> open(const Ticket& ticket, Instant now);
  // A stream with one watch, whose number is 0. Null if there are as many watches, or as many
  // ranges, as are allowed.
  std::unique_ptr<WatchStream> open(const Ticket& ticket, WatchRequest request, Instant now);
  // How many watches are allowed, and how many ranges they may have together.
  std::size_t max_watches() const { return max_watches_; }
  std::size_t max_ranges() const { return max_watches_ * kMeanRanges; }
  bool is_idle() const { return streams_.empty(); }
  const Figures& figures() const { return figures_; }

  // ---- for Node

  // The store has been set or replaced. Requires that the old one still exists, and was at
  // `replaced_revision`.
  void set_store(kv::Keyspace& keyspace, std::uint64_t replaced_revision = 0);
  void set_stale(bool stale);
  // This node's state has diverged: every stream ends, and none is opened any more.
  void set_diverged();
  // True if a watch waits for a turn of the node to ask the leader.
  bool has_question() const { return has_question_; }
  // Joins the open batch of reads if a watch has a question.
  void join(ReadBatcher& reads);
  // True while a watch waits for the leader's answer.
  bool is_asking() const { return !asking_.empty(); }
  // The leader's answer to all batches below `batch`.
  void on_read_index(std::uint64_t batch, raft::Index index);
  // Call at the end of a turn. Wakes streams through `clients`.
  void end_turn(raft::Index applied, Clients& clients, Instant now);
  // When the next turn is due; kNever if none is.
  Instant deadline(Instant now) const;

 private:
  kv::Keyspace& keyspace() override { return *keyspace_; }
  bool is_stale() const override { return stale_; }
  bool has_room(std::size_t ranges) const override;
  void on_added(const Watch& watch) override;
  void on_removed(Watch& watch) override;
  void wake(WatchStream& stream) override;
  void ask(Watch& watch) override;
  void on_output(WatchStream& stream, const WatchItem& item, Instant now) override;
  void on_closed(WatchStream& stream) override;
  void wake_quiet(Instant now);
  void wake_untold();

  RangeWaits& waits_;
  const std::size_t max_watches_;
  kv::Keyspace* keyspace_ = nullptr;
  bool stale_ = false;
  bool diverged_ = false;
  std::list<WatchStream*> streams_;  // the one that was silent for the longest time first
  // The same by number, in the order in which they were opened.
  std::map<std::uint64_t, WatchStream*> numbered_;
  std::uint64_t last_number_ = 0;
  std::vector<WatchStream*> woken_;  // in this turn
  // The streams from this number on are still to be woken, because something has changed for all.
  std::optional<std::uint64_t> untold_;
  bool has_question_ = false;
  std::vector<Watch*> asking_;
  std::optional<raft::Index> answer_;
  std::uint64_t answered_below_ = 0;  // the batches that `answer_` is for
  Figures figures_;
};

}  // namespace vesper::node
