// The clients of this node that ask for a lock: until the store has decided, and while they wait in
// the queue of the lock. It renews their places, withdraws those that no longer wait, and tells
// which requests to answer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/store.hpp"
#include "node/ports.hpp"

namespace vesper::node {

class LockWaits {
 public:
  struct Answer {
    Ticket ticket;
    ClientReply reply;
  };
  // How a request continues once its command was decided.
  enum class Decided : std::uint8_t {
    answer,  // it is answered with the result
    waits,   // it waits in the queue, or its client is gone
  };

  explicit LockWaits(std::uint64_t boot) : boot_(boot) {}

  bool empty() const { return asked_.empty() && places_.empty(); }
  std::size_t waiting() const { return by_ticket_.size(); }

  // A client asks for a lock. Its command goes to the log.
  void add(const Ticket& ticket, std::shared_ptr<const LockWait> wait);
  [[nodiscard]] Decided decided(const Ticket& ticket, const kv::WriteResult& result, Instant now);
  // The command ended without a decision, which the client is told. If it is decided later, the
  // node calls abandon().
  void forget(const Ticket& ticket) { asked_.erase(key_of(ticket)); }
  // The command was decided, but no request waits for it: its place, or its lock, is given up.
  void abandon(std::shared_ptr<const LockWait> wait, const kv::LockResult& result, Instant now);

  // A place left its queue. Returns the answer, if a client waits for it. `log_time`: the cluster's
  // clock, for what is left of the time to live.
  std::optional<Answer> left_queue(const kv::Store::LeftQueue& left, const kv::Store& store,
                                   kv::LogTime log_time, Instant now);
  // The store was replaced by one of a snapshot. Returns the answers to what it has decided.
  std::vector<Answer> compare(const kv::Store& store, kv::LogTime log_time, Instant now);
  // The connection closed: its clients wait no longer.
  void leave(std::uint64_t connection, Instant now);
  // Ends all waits and returns their tickets.
  std::vector<Ticket> clear(Instant now);

  struct Due {
    std::vector<std::string> commands;  // to propose: they withdraw places
    bool renews = false;                // a kv::KeepPlaces of this boot id is due
    // Requests that ended without a decision: their wait was over, but they could not be withdrawn
    // in time, or the same request came again over another connection.
    std::vector<Ticket> unknown;
  };
  // Requires now >= deadline().
  Due take_due(const kv::Store& store, Instant now);
  Instant deadline() const;  // kNever if nothing has to be done

 private:
  // Connection and request: the part does not matter.
  using Key = std::pair<std::uint64_t, std::uint64_t>;
  static Key key_of(const Ticket& ticket) { return {ticket.connection, ticket.request}; }

  struct Asked {
    std::shared_ptr<const LockWait> wait;
    bool is_gone = false;  // the client hung up
  };
  // A place in a queue, or a lock that was granted to a client which is gone.
  struct Place {
    std::optional<Ticket> ticket;  // nothing: the client is gone, or was answered
    std::shared_ptr<const LockWait> wait;
    std::uint64_t claim = 0;
    // How to leave the queue, and when. Nothing: the client waits.
    std::optional<kv::LeaveQueue::Manner> manner;
    Instant leave_at = kNever;
  };
  using Places = std::map<std::uint64_t, Place>;

  void keep(std::uint64_t number, Place place);
  Place remove(Places::iterator place);
  void leave_at(std::uint64_t number, Place& place, Instant time);
  void withdraw(std::uint64_t number, Place& place, Instant now);
  bool is_settled(std::uint64_t number, const Place& place, const kv::Store& store) const;
  static kv::LeaveQueue::Manner manner_of_hang_up(const LockWait& wait);

  const std::uint64_t boot_;
  std::map<Key, Asked> asked_;
  Places places_;
  std::map<Key, std::uint64_t> by_ticket_;               // the places whose client waits
  std::set<std::pair<Instant, std::uint64_t>> by_time_;  // all places, by leave_at
  std::vector<Ticket> displaced_;  // by the same request over another connection
  Instant renew_at_{};
};

}  // namespace vesper::node
