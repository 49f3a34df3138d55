// A cluster of bare Raft cores: each is a Raft and a model of a disk that holds writes back until
// they are synced; messages wait in queues until they are delivered. No node, no storage, no wire.
// Golden scripts, the tests of the paper's rules and the random runs drive it.
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

// What of a turn is written down.
enum class Trace : std::uint8_t { off, brief, all };  // brief: notes, commits, reads

struct Options {
  std::uint32_t servers = 3;
  bool founded = true;    // every log begins with a Bootstrap entry that registers everybody
  bool connected = true;  // every server has met every other
  raft::Config tuning;    // limits and timeouts; self, incarnation, voters and seed are filled in
  std::uint64_t seed = 1;
};

// A link between two servers, one way.
using Link = std::pair<raft::ServerId, raft::ServerId>;

// A message that left under an incarnation, whatever became of that since.
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
    std::vector<raft::Event> done;     // what its snapshot files have to say, in the next turn
    std::vector<std::string> applied;  // payloads of commands, since the last start
    bool alive() const { return raft != nullptr; }
  };

  explicit Cores(const Options& options);

  // One turn of a server: the events, then EndOfTurn, then the effects in their order.
  void turn(raft::ServerId id, std::vector<raft::Event> events);

  // Messages. Links that are cut lose what is sent; links that are held keep it.
  std::size_t deliver(raft::ServerId to);  // all that waits for it, in one turn
  std::size_t deliver_link(Link link, std::size_t limit = SIZE_MAX);
  std::size_t deliver_round();         // what waits now, one turn a server, in id order
  void settle(int most_rounds = 100);  // until nothing waits
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

  // A snapshot of all that is committed there, in so many chunks, is stored at once.
  void snapshot(raft::ServerId id, std::uint64_t chunks);
  // What the disk of a server that is down has of its newest snapshot is unreadable.
  void damage(raft::ServerId id) { at(id).disk.snapshots.pop_back(); }

  // Disks. With automatic sync every turn ends with its write synced.
  void automatic_sync(bool on) { automatic_sync_ = on; }
  void sync(raft::ServerId id, std::size_t limit = SIZE_MAX);

  // Processes and connections.
  void crash(raft::ServerId id, std::size_t keep_unsynced = 0);
  void start(raft::ServerId id);
  void start_long_ago(raft::ServerId id);  // what it may have promised before is over
  void wipe(raft::ServerId id);            // down, then an empty disk of a new incarnation
  void connect(raft::ServerId a, raft::ServerId b);
  void refused(raft::ServerId a, raft::ServerId by);
  void connect_all(raft::ServerId id);
  void peer_gone(raft::ServerId gone);  // all that are up learn it

  // Time. advance fires deadlines only; run also delivers, each message after a millisecond.
  void advance(Duration duration);
  void run(Duration duration);
  void campaign(raft::ServerId id);  // its deadline comes, and no other
  void elect(raft::ServerId id);     // campaign, settle, all silent

  Server& at(raft::ServerId id) { return servers_.at(id.value); }
  const Server& at(raft::ServerId id) const { return servers_.at(id.value); }
  std::vector<Server>& servers() { return servers_; }
  std::optional<raft::ServerId> leader() const;  // of the highest term
  Instant now() const { return now_; }
  Instant start_of_time() const { return kStart; }
  raft::Term current_term(raft::ServerId id) const;

  // What was seen wrong, once and for all; empty: nothing.
  const std::string& violation() const { return safety_.violation(); }
  const Safety& safety() const { return safety_; }

  Trace trace = Trace::off;
  std::string text;  // the trace, lines; who prints it clears it

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

// The entry of a test's log at (index, term): the same wherever it is asked for.
raft::Entry test_entry(raft::Index index, raft::Term term);

}  // namespace vesper::golden
