// The watches of one client connection, as one sequence of items. Watches may be added and removed
// while the stream runs. The connection pulls items when its socket can take more. The watches take
// turns, so that one which is behind does not delay the others. The set of all streams is in
// watches.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "base/time.hpp"
#include "node/ports.hpp"
#include "node/watch.hpp"

namespace vesper::node {

struct WatchOutput {
  std::optional<std::uint64_t> watch;  // its number; nothing: the item is of the whole stream
  WatchItem item;
};

class WatchStream;

// What a stream needs of the node. Watches implements it.
class WatchHost {
 public:
  virtual kv::Keyspace& keyspace() = 0;
  // This node may be behind (WatchMark::Kind::stale).
  virtual bool is_stale() const = 0;
  // Whether another watch with so many ranges is within the node's limits.
  virtual bool has_room(std::size_t ranges) const = 0;
  virtual void on_added(const Watch& watch) = 0;
  virtual void on_removed(Watch& watch) = 0;
  // An event has ended the stream's wait: wakes its connection in this turn.
  virtual void wake(WatchStream& stream) = 0;
  // The watch needs to know how far the leader's store is.
  virtual void ask(Watch& watch) = 0;
  // The stream has yielded an item, at `now`.
  virtual void on_output(WatchStream& stream, const WatchItem& item, Instant now) = 0;
  virtual void on_closed(WatchStream& stream) = 0;

 protected:
  ~WatchHost() = default;
};

class WatchStream final : private WatchOwner {
 public:
  // Made by Watches::open(). Both must outlive the stream.
  WatchStream(WatchHost& host, RangeWaits& waits, const Ticket& ticket, Instant now);
  ~WatchStream();
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  // Adds a watch, whose items follow. Returns false if the node has as many watches or ranges as
  // are allowed. Requires that no watch of the stream has this number.
  [[nodiscard]] bool add(std::uint64_t number, WatchRequest request);
  // Removes a watch: none of its items follows. Returns false if there is no such watch.
  bool remove(std::uint64_t number);
  bool has(std::uint64_t number) const { return watches_.contains(number); }
  // Asks for a mark of progress. It comes once the stream has yielded what its watches find in one
  // turn, and no watch has yielded a part of a revision only.
  void ask_progress() { progress_asked_ = true; }
  // The revision up to which all watches have yielded what passes: of a stream without watches,
  // that of the store. Nothing: a watch has yielded a part of a revision, or no event yet.
  std::optional<std::uint64_t> reached() const;
  // True if the store keeps everything that the watches have not yielded yet.
  bool is_kept() const;

  enum class Next : std::uint8_t {
    item,      // there is one more item; ask again
    later,     // the budget is used up; ask again in the next turn
    waiting,   // for an event: Clients::wake() comes when there is something
    finished,  // all watches have ended, after WatchClosed
  };
  // Call between the turns of the node. Looks at most at `budget` events or keys, and lowers it.
  Next next(Instant now, std::size_t& budget, WatchOutput& output);

  const Ticket& ticket() const { return ticket_; }

 private:
  friend class Watches;
  // What a watch may look at before the next one comes.
  static constexpr std::size_t kShare = 256;

  kv::Keyspace& keyspace() override { return host_.keyspace(); }
  void on_ready(Watch& watch) override;
  void ask(Watch& watch) override { host_.ask(watch); }
  // For Watches:
  void on_install(std::uint64_t replaced_revision);
  void on_quiet(Instant now);
  void on_diverged() { diverged_ = true; }

  Next choose(Instant now, std::size_t& budget, WatchOutput& output);
  Next next_of_watches(Instant now, std::size_t& budget, WatchOutput& output);
  std::optional<WatchMark> progress() const;
  void erase(Watch& watch);
  void set_idle(Watch& watch);
  void set_ready(Watch& watch);

  WatchHost& host_;
  RangeWaits& waits_;
  const Ticket ticket_;
  std::map<std::uint64_t, Watch> watches_;  // by number
  // Each watch is in one of the two: it may have something to yield, the next to be asked first; or
  // it waits.
  std::list<Watch*> ready_, idle_;
  bool said_stale_ = false;
  bool quiet_ = false;           // a mark of progress is due unless there is anything else
  bool progress_asked_ = false;  // a mark of progress is due in any case
  bool diverged_ = false;
  bool ended_ = false;  // the last watch was closed

  // For Watches.
  std::uint64_t number_ = 0;
  bool is_woken_ = false;
  Instant output_at_;                        // when it yielded an item last
  std::list<WatchStream*>::iterator place_;  // in the order of output_at_
};

}  // namespace vesper::node
