// One watch, as its client sees it: the present state if the client asked for it, then events in
// the order of the log. The client's connection pulls items when its socket can take more. A stream
// that has caught up costs nothing until an event that matches is committed; one that is behind is
// a cursor and no memory. The set of all streams is in watches.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "kv/operation.hpp"
#include "kv/range_reader.hpp"
#include "node/ports.hpp"
#include "node/range_waits.hpp"
#include "node/watch_cursor.hpp"
#include "node/watch_filter.hpp"

namespace vesper::node {

struct WatchRequest {
  // What comes first: the present state, or the events after `since`.
  enum class Begin : std::uint8_t { with_state, with_events };
  WatchFilter filter;
  Begin begin = Begin::with_events;
  std::optional<WatchId> since;  // nothing: what is committed from now on
  kv::Prev prev = kv::Prev::omit;
};

// What a stream yields.
struct WatchEvent {
  kv::VersionRef version;
  kv::VersionRef replaced;  // null: there was none, or the client does not want it
  bool more = false;        // another event of the same revision follows
};
// A key, lock or election of the present state.
struct WatchState {
  kv::VersionRef version;
};
struct WatchMark {
  enum class Kind : std::uint8_t {
    reset,     // the history that the client needs is gone: the present state follows
    synced,    // the present state is complete
    stale,     // this node may be behind: it has heard from no leader, or, as one, from no quorum
    fresh,     // that is over
    progress,  // all events up to this revision were sent
    alive,     // nothing has happened, and the state or an answer of the leader is still to come
  };
  Kind kind = Kind::alive;
  std::uint64_t revision = 0;  // of the state or the store; of `progress`: what was reached
};
struct WatchClosed {
  enum class Why : std::uint8_t {
    too_slow,  // the events that come next were compacted before the client had taken them
    diverged,  // this node's state differs from a majority's
  };
  Why why = Why::too_slow;
};
using WatchItem = std::variant<WatchEvent, WatchState, WatchMark, WatchClosed>;

class WatchStream;

// What a stream needs of the node. Watches implements it.
class WatchHost {
 public:
  virtual kv::Keyspace& keyspace() = 0;
  // This node may be behind (WatchMark::Kind::stale).
  virtual bool is_stale() const = 0;
  // An event has ended the stream's wait: wakes its connection in this turn.
  virtual void wake(WatchStream& stream) = 0;
  // The stream needs to know how far the leader's store is.
  virtual void ask(WatchStream& stream) = 0;
  // The stream has yielded an item, at `now`.
  virtual void on_output(WatchStream& stream, const WatchItem& item, Instant now) = 0;
  virtual void on_closed(WatchStream& stream) = 0;

 protected:
  ~WatchHost() = default;
};

class WatchStream final : private RangeWaiter {
 public:
  // Made by Watches::open(). Both must outlive the stream.
  WatchStream(WatchHost& host, RangeWaits& waits, const Ticket& ticket, WatchRequest request,
              Instant now);
  ~WatchStream();
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  enum class Next : std::uint8_t {
    item,      // there is one more item; ask again
    later,     // the budget is used up; ask again in the next turn
    waiting,   // for an event: Clients::wake() comes when there is something
    finished,  // after WatchClosed
  };
  // Call between the turns of the node. Looks at most at `budget` events or keys, and lowers it.
  Next next(Instant now, std::size_t& budget, WatchItem& item);

  const Ticket& ticket() const { return ticket_; }
  const WatchFilter& filter() const { return request_.filter; }

 private:
  friend class Watches;
  enum class Phase : std::uint8_t { opening, asking, state, events, closed };
  // Of reads of the present state.
  static constexpr std::size_t kStateVisits = 512, kStateBytes = 16u << 10;
  // How long the present state is kept for a slow client, if compaction passes it meanwhile.
  static constexpr Duration kMaxPin = seconds(60);

  void on_change(const kv::Version& event) override;
  // For Watches:
  void on_leader_revision();
  void on_install(std::uint64_t replaced_revision);
  void on_quiet(Instant now);
  void on_diverged() { closes_ = WatchClosed::Why::diverged; }

  std::optional<WatchItem> open(Instant now);
  std::optional<WatchItem> open_after(WatchId since, Instant now);
  WatchItem begin_reset(Instant now);
  void begin_state(Instant now);
  Next next_of_state(Instant now, std::size_t& budget, WatchItem& item);
  Next next_event(Instant now, std::size_t& budget, WatchItem& item);
  Next close(WatchClosed::Why why, WatchItem& item);
  void release_old_pin(Instant now);
  void arm();

  WatchHost& host_;
  RangeWaits& waits_;
  const Ticket ticket_;
  const WatchRequest request_;
  Phase phase_ = Phase::opening;

  WatchCursor cursor_;
  bool armed_ = false;      // everything up to the store's revision was looked at
  bool may_reset_ = false;  // the store was replaced: what is compacted is not the client's fault
  bool said_stale_ = false;
  bool says_progress_ = false;  // a mark of progress is due
  bool leader_asked_ = false;   // how far the leader's store is; this node has reached that
  std::optional<WatchClosed::Why> closes_;
  std::vector<RangeWaits::Id> entries_;  // one for each range, once it has caught up

  // The read of the present state.
  struct State {
    kv::Keyspace::Pin pin;
    std::uint64_t revision = 0;
    Instant began;
    std::size_t range = 0;  // the number of the range being read
    std::optional<kv::RangeReader> reader;
    std::vector<kv::VersionRef> found;  // from `at` on, not yet yielded
    std::size_t at = 0;
  };
  std::unique_ptr<State> state_;

  // For Watches.
  std::uint64_t number_ = 0;
  bool is_woken_ = false;
  std::uint64_t batch_ = 0;                  // of the question to the leader
  Instant output_at_;                        // when it yielded an item last
  std::list<WatchStream*>::iterator place_;  // in the order of output_at_
};

}  // namespace vesper::node
