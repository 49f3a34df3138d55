// A whole cluster in one thread and one clock: the production node (actor, Raft, store, WAL) over a
// simulated network and disk. One seed makes the world; the same seed gives the same run.
#pragma once

#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "node/node.hpp"
#include "sim/checker.hpp"
#include "support/mem_fs.hpp"

namespace vesper::sim {

struct Options {
  std::uint64_t seed = 1;
  Duration faults = seconds(20);  // how long faults and clients go on
  bool trace = false;
};

// What a run exercised: a run that tested nothing is seen.
struct Tally {
  std::map<std::string, std::uint64_t> events;
  void count(const std::string& kind, std::uint64_t n = 1) { events[kind] += n; }
};

class World;

// One server: its disk survives, the rest is rebuilt at each start.
struct Server final : node::Transport, node::Clients {
  World* world = nullptr;
  raft::ServerId id;
  test::MemFs disk{1};
  std::uint64_t boot = 0;  // 0: down
  bool paused = false;
  bool turn_scheduled = false;
  bool disk_scheduled = false;
  Instant wake_at = kNever;
  std::vector<node::Post> while_paused;
  node::Recovery recovery;  // its log and snapshots
  std::unique_ptr<node::Node> node;
  node::Counters counted;  // of which the tally knows
  raft::Index checked;     // committed entries compared up to here, in this boot

  void send(raft::ServerId to, const node::PeerMessage& message, bool bulk) override;
  void reply(const node::Ticket& ticket, node::Reply reply) override;
};

class World {
 public:
  explicit World(Options options);

  // Faults and clients, then quiet: everybody must answer and agree. Nothing, or what was wrong.
  std::optional<std::string> run();

  const Tally& tally() const { return tally_; }
  Instant now() const { return now_; }

 private:
  friend struct Server;
  // What happens at an instant. A closed variant, compared by time, then by order of creation.
  struct Deliver {
    std::size_t from, to;
    std::uint64_t from_boot, to_boot;
    raft::Incarnation incarnation;
    std::string bytes;
  };
  struct Turn {
    std::size_t server;
    std::uint64_t boot;
  };
  struct Disk {
    std::size_t server;
    std::uint64_t boot;
  };
  struct Wake {
    std::size_t server;
    std::uint64_t boot;
  };
  struct Connect {
    std::size_t from, to;
  };
  struct Gone {
    std::size_t who, to;
    std::uint64_t to_boot;
  };
  struct ClientStep {
    std::size_t client;
  };
  struct Fault {};
  struct Restart {
    std::size_t server;
  };
  struct Resume {
    std::size_t server;
  };
  struct CrashNow {
    std::size_t server;
    std::uint64_t boot;
  };
  struct Heal {};
  using Action = std::variant<Deliver, Turn, Disk, Wake, Connect, Gone, ClientStep, Fault, Restart,
                              Resume, CrashNow, Heal>;
  struct Scheduled {
    Instant at;
    std::uint64_t order;
    Action action;
    bool operator>(const Scheduled& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Client {
    std::size_t server = 0;
    std::uint64_t connection = 0;
    std::uint64_t next_request = 1;
    std::map<std::uint64_t, std::size_t> open;  // request -> operation
  };

  void at(Instant when, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
  Duration between(Duration low, Duration high) {
    return nanoseconds(random_.between(low.ns, high.ns));
  }
  bool chance(std::int64_t percent) { return random_.between(1, 100) <= percent; }
  void start(std::size_t i);
  void crash(std::size_t i, bool power_loss);
  void crash_at_disk(Server& server);
  void post(std::size_t i, node::Post post);
  void turn(std::size_t i);
  void count_snapshots(Server& server);
  void schedule_turn(Server& server);
  void transmit(Server& from, raft::ServerId to, const node::PeerMessage& message);
  void on_reply(std::size_t server, const node::Ticket& ticket, node::Reply reply);
  void client_step(std::size_t c);
  void inject();
  bool linked(std::size_t a, std::size_t b) const { return !cut_[a][b]; }
  bool settled() const;
  void trace(const std::string& line) const;
  void fail(std::string what);

  struct Dispatch;

  Options options_;
  Prng random_;
  Instant now_{1'000'000'000};
  std::uint64_t order_ = 0;
  std::uint64_t boots_ = 0;
  std::priority_queue<Scheduled, std::vector<Scheduled>, std::greater<>> queue_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::vector<bool>> cut_;  // cut_[a][b]: nothing gets from a to b
  std::int64_t loss_percent_ = 0, duplicate_percent_ = 0;
  Duration delay_max_ = milliseconds(1);
  Duration disk_max_ = milliseconds(2);
  node::Limits limits_;  // the same everywhere
  std::size_t log_tail_ = 0;
  std::vector<Client> clients_;
  std::uint64_t connections_ = 0;
  std::uint64_t values_ = 0;
  bool faulty_ = true;
  Checker checker_;
  Tally tally_;
  std::optional<std::string> failure_;
};

}  // namespace vesper::sim
