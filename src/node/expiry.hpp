// What a leader proposes when something is due: the end of keys with a time to live, of leases, of
// locks, and of the places of nodes that no longer serve their waiters. The commands name what they
// end, and the store judges them again by their stamps, so a proposal can neither end anything
// early nor come from an old leader.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "kv/store.hpp"
#include "raft/types.hpp"

namespace vesper::node {

class Expiry {
 public:
  // A turn begins. The entries up to `applied` were applied.
  void begin_turn(raft::Index applied);
  // The next command to propose, if anything is due at `log_time` that no command in flight names.
  // The caller proposes it. Nothing, too, if as many are in flight as may be, or were proposed in
  // this turn.
  std::optional<kv::Expire> next_command(const kv::Store& store, kv::LogTime log_time);
  // The last one was proposed as the entry at `index`.
  void proposed(raft::Index index);
  // This node does not lead: whatever it proposed may be lost.
  void forget();

  // When to call next_command() again; kNever if nothing expires. `log_time` is the cluster's clock
  // at `now`.
  Instant deadline(const kv::Store& store, kv::LogTime log_time, Instant now) const;

 private:
  // A place in the order of the deadlines of keys. Nothing: the beginning.
  struct Place {
    kv::LogTime deadline;
    std::string key;
  };
  using MaybePlace = std::optional<Place>;
  struct InFlight {
    raft::Index index;
    bool names_others = false;  // leases, locks or sessions
    MaybePlace begins;          // its keys come after this place
  };

  void name_keys(const kv::Store& store, kv::LogTime log_time, kv::Expire& expire);
  static void name_others(const kv::Store& store, kv::LogTime log_time, kv::Expire& expire);

  std::deque<InFlight> in_flight_;
  InFlight next_;             // what next_command() returned last
  MaybePlace named_;          // keys up to here are named by commands in flight
  std::size_t proposed_ = 0;  // in this turn
  bool continues_ = false;    // more is perhaps due, and the next turn may propose it
};

}  // namespace vesper::node
