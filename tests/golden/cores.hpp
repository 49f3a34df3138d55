// A cluster of bare Raft cores. Each is a Raft with a model of a disk that holds writes back until
// they are synced; messages wait in queues until they are delivered. There is no node, no storage
// and no wire. Golden scripts, the tests of the paper's rules and the random runs use it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "golden/safety.hpp"
#include "raft/raft.hpp"

namespace vesper::golden {

// How much of a turn goes into the trace. brief: notes, commits and reads.
enum class Trace : std::uint8_t { off, brief, all };

struct Options {
  std::uint32_t servers = 3;
  std::uint32_t spares = 0;  // servers with empty disks that wait to be added, after the others
  bool founded = true;       // every log begins with a Bootstrap entry that registers every server
  bool connected = true;     // every server has met every other
  raft::Config tuning;  // limits and timeouts; self, incarnation, voters and seed are filled in
  std::uint64_t seed = 1;
};

// A link between two servers, in one direction.
using Link = std::pair<raft::ServerId, raft::ServerId>;

// A message in a queue, with the sender's incarnation at the time of sending.
struct InFlight {
  raft::Incarnation incarnation;
  raft::Message message;
};
using Queue = std::deque<InFlight>;

class Cores {
 public:
  struct Server {
    raft::ServerId id;
    raft::Incarnation incarnation;
    std::uint64_t boots = 0;
    std::unique_ptr<raft::Raft> raft;  // null while it is down
    Disk disk;
    std::deque<raft::Write> unsynced;
    std::deque<raft::HeldEnvelope> gated;
    raft::Output output;
    std::vector<raft::ReadReady> reads;
    std::vector<raft::Event> done;     // completions of its snapshot files, for the next turn
    std::vector<std::string> applied;  // payloads of commands since the last start
    bool alive() const { return raft != nullptr; }
  };

  explicit Cores(const Options& options);

  // One turn of a server: the events, then EndOfTurn, then the effects in order.
  void turn(raft::ServerId id, std::vector<raft::Event> events);

  // Messages. A cut link loses what is sent; a held link keeps it.
  std::size_t deliver(raft::ServerId to);  // everything queued for `to`, in one turn
  std::size_t deliver_link(Link link, std::size_t limit = SIZE_MAX);
  std::size_t deliver_round();         // everything queued now, one turn per server, in id order
  void settle(int most_rounds = 100);  // delivers until nothing is queued
  std::size_t in_flight() const;       // on links that are not held
  void drop(Link link);
  void cut(Link link);
  void cut_into(const std::vector<std::vector<raft::ServerId>>& sides);
  void heal();
  void hold(Link link) { held_[link] = true; }
  void release(Link link) { held_[link] = false; }
  bool is_cut(Link link) const;
  bool is_held(Link link) const;
  Queue& queue(Link link) { return queues_[link]; }
  const std::map<Link, Queue>& queues() const { return queues_; }

  // Stores at once a snapshot of everything that the server has committed, in `chunks` chunks.
  void snapshot(raft::ServerId id, std::uint64_t chunks);
  // Makes the newest snapshot unreadable on the disk of a server that is down.
  void damage(raft::ServerId id) { at(id).disk.snapshots.pop_back(); }

  // Disks. With automatic sync, every turn ends with its write synced.
  void automatic_sync(bool on) { automatic_sync_ = on; }
  void sync(raft::ServerId id, std::size_t limit = SIZE_MAX);

  // Processes and connections.
  void crash(raft::ServerId id, std::size_t keep_unsynced = 0);
  void start(raft::ServerId id);
  void start_long_ago(raft::ServerId id);  // with its earlier promises expired
  void wipe(raft::ServerId id);            // down, then an empty disk with a new incarnation
  void connect(raft::ServerId a, raft::ServerId b);
  void refused(raft::ServerId a, raft::ServerId by);
  void connect_all(raft::ServerId id);
  void peer_gone(raft::ServerId gone);  // every running server learns of it

  // Time. advance only fires deadlines; run also delivers each message after a millisecond. While
  // they are suspended, no server runs.
  void advance(Duration duration);
  void run(Duration duration);
  void suspend(Duration duration) { now_ = now_ + duration; }
  void campaign(raft::ServerId id);  // fires the deadline of this server only
  void elect(raft::ServerId id);     // campaign and settle, without a trace

  Server& at(raft::ServerId id) { return servers_.at(id.value); }
  const Server& at(raft::ServerId id) const { return servers_.at(id.value); }
  std::vector<Server>& servers() { return servers_; }
  std::optional<raft::ServerId> leader() const;  // the leader of the highest term
  Instant now() const { return now_; }
  Instant start_of_time() const { return kStart; }
  raft::Term current_term(raft::ServerId id) const;

  // The first violation of safety; empty if there was none.
  const std::string& violation() const { return safety_.violation(); }
  const Safety& safety() const { return safety_; }

  Trace trace = Trace::off;
  std::string text;  // the trace, in lines; the code that prints it clears it

 private:
  static constexpr Instant kStart{1'000'000'000};

  void execute(Server& server);
  void use_snapshots(Server& server, const raft::Output& output);
  raft::RecoveredState recover(const Disk& disk) const;
  void post(Server& from, const raft::Envelope& envelope);
  void take(Link link, std::size_t limit, std::vector<raft::Event>& events);
  void write_down(Trace level, const std::string& line);
  void fire(Server& server);
  Disk founded_disk() const;

  Options options_;
  std::vector<Server> servers_;
  std::map<raft::Index, std::vector<std::string>> contents_;  // of snapshots, by their last index
  std::map<Link, Queue> queues_;
  std::map<Link, bool> cut_;
  std::map<Link, bool> held_;
  bool automatic_sync_ = true;
  std::uint64_t next_incarnation_ = 0;
  Instant now_ = kStart;
  Safety safety_;
};

// The entry of a test's log at (index, term); every call returns the same entry.
raft::Entry test_entry(raft::Index index, raft::Term term);

}  // namespace vesper::golden
