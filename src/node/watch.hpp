// One watch: the present state if its client asked for it, then the events that pass its filter, in
// the order of the log. A watch that has caught up costs nothing until an event that matches is
// committed; one that is behind is a cursor and no memory. Its stream is in watch_stream.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "kv/operation.hpp"
#include "kv/range_reader.hpp"
#include "node/range_waits.hpp"
#include "node/watch_cursor.hpp"
#include "node/watch_filter.hpp"

namespace vesper::node {

struct WatchRequest {
  // What comes first: the present state, or the events after `since`.
  enum class Begin : std::uint8_t { with_state, with_events };
  // Whether the client wants to know how far a quiet watch is.
  enum class Progress : std::uint8_t { omit, include };
  WatchFilter filter;
  Begin begin = Begin::with_events;
  std::optional<WatchId> since;  // nothing: what is committed from now on
  kv::Prev prev = kv::Prev::omit;
  Progress progress = Progress::include;
};

// What a watch or its stream yields.
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

class Watch;

// What a watch needs of its stream. WatchStream implements it.
class WatchOwner {
 public:
  virtual kv::Keyspace& keyspace() = 0;
  // A watch that waited has something to yield.
  virtual void on_ready(Watch& watch) = 0;
  // The watch needs to know how far the leader's store is.
  virtual void ask(Watch& watch) = 0;

 protected:
  ~WatchOwner() = default;
};

class Watch final : private RangeWaiter {
 public:
  // `number` identifies the watch in its stream. Owner and waits must outlive the watch.
  Watch(WatchOwner& owner, RangeWaits& waits, std::uint64_t number, WatchRequest request)
      : owner_(owner), waits_(waits), number_(number), request_(std::move(request)) {}
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  enum class Next : std::uint8_t {
    item,     // after WatchClosed the watch must not be asked again
    later,    // the budget is used up
    waiting,  // until WatchOwner::on_ready()
  };
  // Looks at most at `budget` events or keys, and lowers it.
  Next next(Instant now, std::size_t& budget, WatchItem& item);

  std::uint64_t number() const { return number_; }
  const WatchFilter& filter() const { return request_.filter; }
  bool wants_progress() const { return request_.progress == WatchRequest::Progress::include; }
  // False while the present state, or an answer of the leader, is still to come.
  bool is_in_events() const { return phase_ == Phase::events; }
  // The revision up to which it has yielded all that passes. Nothing: it has yielded a part of a
  // revision, or no event yet.
  std::optional<std::uint64_t> reached() const;
  // True if the store keeps everything that the watch has not yielded yet.
  bool is_kept() const;

  // For the stream:
  void on_leader_revision();
  void on_install(std::uint64_t replaced_revision);
  // A client that reads slowly must not keep old versions in memory for ever.
  void release_old_pin(Instant now);

 private:
  friend class Watches;
  friend class WatchStream;
  enum class Phase : std::uint8_t { opening, asking, state, events };
  // Of reads of the present state.
  static constexpr std::size_t kStateVisits = 512, kStateBytes = 16u << 10;
  // How long the present state is kept for a slow client, if compaction passes it meanwhile.
  static constexpr Duration kMaxPin = seconds(60);

  void on_change(const kv::Version& event) override;

  std::optional<WatchItem> open(Instant now);
  std::optional<WatchItem> open_after(WatchId since, Instant now);
  WatchItem begin_reset(Instant now);
  void begin_state(Instant now);
  Next next_of_state(Instant now, std::size_t& budget, WatchItem& item);
  Next next_event(Instant now, std::size_t& budget, WatchItem& item);
  Next compacted(Instant now, WatchItem& item);
  void arm();

  WatchOwner& owner_;
  RangeWaits& waits_;
  const std::uint64_t number_;
  const WatchRequest request_;
  Phase phase_ = Phase::opening;

  WatchCursor cursor_;
  bool armed_ = false;      // everything up to the store's revision was looked at
  bool may_reset_ = false;  // the store was replaced: what is compacted is not the client's fault
  bool leader_asked_ = false;  // how far the leader's store is; this node has reached that
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

  std::uint64_t batch_ = 0;            // for Watches: of the question to the leader
  std::list<Watch*>::iterator place_;  // for WatchStream: among its ready or its idle watches
  bool is_idle_ = false;               // in which of them
};

}  // namespace vesper::node
