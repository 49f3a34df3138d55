// A whole cluster in one thread and one clock: the production node (actor, Raft, store, log,
// snapshots) over a simulated network, disk and clocks. One seed makes the world; the same seed
// gives the same run, bit for bit.
#pragma once

#include <fmt/core.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/prng.hpp"
#include "sim/event_queue.hpp"
#include "sim/history.hpp"
#include "sim/host.hpp"
#include "sim/leases.hpp"
#include "sim/log_clock.hpp"
#include "sim/plan.hpp"
#include "sim/reads.hpp"
#include "sim/resends.hpp"
#include "sim/safety.hpp"
#include "sim/tally.hpp"

namespace vesper::sim {

class World {
 public:
  explicit World(Options options);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Faults and clients, then quiet: everybody must answer and agree. Nothing, or what was wrong.
  Violation run();

  const Tally& tally() const { return tally_; }
  Duration lasted() const { return now_ - kBegin; }
  // Of everything that happened, in order.
  std::uint64_t trace_hash() const { return hash_; }

 private:
  friend struct Host;
  static constexpr Instant kBegin{1'000'000'000};

  // ---- what happens at an instant

  struct Deliver {
    std::uint32_t from, to;
    std::uint64_t epoch, to_boot;
    raft::Incarnation incarnation;
    Instant followed;  // of an answer to a follower's read: what its leader could know
    std::string bytes;
  };
  struct Turn {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Disk {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Wake {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Dial {
    std::size_t from, to;
    std::uint64_t boot;
  };
  struct Reset {
    std::size_t from, to;
    std::uint64_t epoch;
  };
  struct ClientStep {
    std::size_t client;
  };
  struct Poke {
    std::size_t client;
    bool lease = false;     // reads by lease
    bool reads_on = false;  // the next of many reads
  };
  struct Insist {
    std::size_t client;
    bool fresh;  // a new keyed write, else one that was asked for before
  };
  struct Hang {};
  struct Lull {};
  struct NextFault {};
  struct Restart {
    std::size_t host;
  };
  struct Resume {
    std::size_t host;
  };
  struct Shut {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Kill {
    std::size_t host;
    std::uint64_t boot;
    bool power;
  };
  struct Strike {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Spring {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Undo {
    std::size_t fault;
  };
  struct Poll {};
  struct Pump {
    std::size_t from, to;
  };
  struct Sample {};
  using Action = std::variant<Deliver, Turn, Disk, Wake, Dial, Reset, ClientStep, Poke, Insist,
                              Hang, Lull, NextFault, Restart, Resume, Shut, Kill, Strike, Spring,
                              Undo, Poll, Sample, Pump>;
  struct Dispatch;

  // The connection that `from` has dialled and speaks on.
  struct Link {
    bool up = false;
    bool dialling = false;
    bool announced = false;      // PeerUp was posted, and no PeerGone since
    std::uint64_t met_boot = 0;  // of the other process
    std::uint64_t epoch = 0;     // what was sent on an older connection is lost
    Instant last_delivery[2];    // of control and bulk
    std::int64_t cuts = 0;       // faults that keep messages from passing this way
    std::int64_t rate = 0;       // bytes a second; 0: any number
    struct Queue {
      std::deque<Deliver> waiting;
      std::size_t bytes = 0;
      std::size_t head_left = 0;  // of the first message
    };
    Queue queues[2];         // of control and bulk, while the link is narrow
    std::size_t served = 0;  // the last of them
    bool pumping = false;
  };
  // What a fault did and its end undoes.
  struct Spell {
    FaultKind kind;
    std::vector<std::pair<std::size_t, std::size_t>> cuts;
    std::vector<std::size_t> hosts;
    bool over = false;
    std::vector<std::pair<std::size_t, std::size_t>> narrowed = {};
  };
  struct Client {
    Prng random{0};
    std::size_t host = 0;
    std::uint64_t connection = 0;  // 0: none
    std::uint64_t next_request = 1;
    bool probe = false;         // asks at the end, until it is answered
    bool mover = false;         // asks for transfers at the end, until one is done
    bool loader = false;        // writes on in the calm
    std::size_t served = 0;     // of the requests asked last
    std::int64_t reads_on = 0;  // asks for as many reads, each when the one before is answered
    std::map<std::uint64_t, std::optional<raft::ServerId>> transfers;  // by request: to whom
    std::map<std::uint64_t, std::size_t> open;                         // request -> operation
    std::map<std::string, std::uint64_t> revisions;                    // seen last
    std::uint64_t highest = 1;                                         // of the store, likewise
    std::deque<Operation> again;  // was refused, or nobody knows: asked once more
    std::deque<Operation> keyed;  // the last with tokens
    // A read and a write were served.
    bool satisfied() const { return served >= 2 && open.empty(); }
  };

  void at(Instant when, Action action) { queue_.push(when, std::move(action)); }
  void after(Duration delay, Action action) { queue_.push(now_ + delay, std::move(action)); }
  static Duration between(Prng& random, Duration low, Duration high) {
    return nanoseconds(random.between(low.ns, high.ns));
  }
  static bool chance(Prng& random, std::int64_t percent) {
    return random.between(1, 100) <= percent;
  }
  static bool one_in(Prng& random, std::int64_t n) { return random.between(1, n) == 1; }
  Host& host(std::size_t i) { return *hosts_[i]; }
  Link& link(std::size_t from, std::size_t to) { return links_[from * hosts_.size() + to]; }
  bool linked(std::size_t a, std::size_t b) { return link(a, b).cuts == 0 && link(b, a).cuts == 0; }

  template <typename... Args>
  void trace(fmt::format_string<Args...> format, Args&&... args) {
    if (options_.trace) print(fmt::format(format, std::forward<Args>(args)...));
  }
  void print(const std::string& line) const;
  void mix(std::uint64_t word) { hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15 + (hash_ >> 29); }
  void fail(std::string what) {
    if (!failure_) failure_ = std::move(what);
  }
  void check(Violation wrong) {
    if (wrong) fail(std::move(*wrong));
  }

  // world.cpp: hosts and the run
  void start(Host& h);
  raft::Config config_of(const Host& h);
  Result<node::RecoveredNode> recover(Host& h);  // damage.cpp
  void not_started(Host& h, const Error& error);
  void stop_process(Host& h);
  void resume(Host& h);
  void crash(Host& h, bool power);
  void crash_in_job(Host& h);
  void storage_failed(Host& h, const Error& error);
  void post(Host& h, node::Input post);
  void schedule_turn(Host& h);
  void turn(Host& h);
  void after_turn(Host& h, Instant deadline);
  void run_disk(Host& h);
  void schedule_disk(Host& h);
  void step();
  void become_quiet();
  void poll();
  bool settled();
  void want_hand_over();
  void move_step(Client& client);
  void load_slow_follower();
  void load_step(std::size_t c);
  void judge_end();

  // observe.cpp: what the checkers are told
  void observe(Host& h, bool whole);
  void feed(const raft::Entry& entry);
  void observe_restart(Host& h);
  void observe_stickiness(Host& h);
  void observe_send(Host& h, const node::PeerMessage& message);
  void observe_vote(Host& h, std::size_t to, const node::PeerMessage& message);
  // witness.cpp: what leases and reads rest on
  void observe_heartbeat(Host& h, const raft::Message& message);
  Instant followed_by(const Host& h, const node::PeerMessage& message) const;
  void overhear(Host& h, const Deliver& message, const node::PeerMessage& decoded);
  void take_in(Host& h, Instant local);
  void observe_leases(Host& h);
  void observe_read(Host& h, const Operation& asked, const node::ReadResult& read);

  void count(Host& h);
  void compare_store(const Host& h);
  void check_bounds(Host& h);
  void check_uncommitted(Host& h);

  // network.cpp
  // bandwidth.cpp
  void narrow(Spell& spell);
  void widen(std::size_t from, std::size_t to);
  void forget_queues(Link& link);
  void enqueue(std::size_t from, std::size_t to, raft::Channel channel, Deliver message);
  void pump(std::size_t from, std::size_t to);
  void observe_bytes(Host& h, std::size_t to, const node::PeerMessage& message,
                     raft::Channel channel);
  void overhear_losses(std::size_t who, std::size_t from, const node::PeerMessage& message);

  void lose(std::size_t from, std::size_t to);
  void transmit(Host& from, std::size_t to, const node::PeerMessage& message,
                raft::Channel channel);
  void deliver(Deliver& message);
  void schedule_delivery(Link& link, raft::Channel channel, Deliver message);
  void dial(std::size_t from, std::size_t to, Duration delay);
  void on_dial(const Dial& dial);
  bool handshake(Host& from, Host& to);
  void meet(std::size_t host, std::size_t other);
  void announce(std::size_t host, std::size_t other);
  void gone(std::size_t host, std::size_t other);
  void reset(std::size_t from, std::size_t to);
  void connections_end(Host& h);

  // clients.cpp
  void client_step(std::size_t c);
  void poke(const Poke& poke);
  void excite();
  bool connect(Client& client);
  Operation invent(Client& client);
  void ask(Client& client, Operation operation);
  void ask_keyed(Client& client, Operation operation);
  void retry(Client& client, Operation operation);
  void choose_read(Client& client, Operation& operation);
  void give_up(Client& client, std::size_t operation);
  std::optional<Age> age_of(const Host& h, const node::ReadResult& read) const;
  void on_reply(Host& h, const node::Ticket& ticket, node::ClientReply& reply);
  void ask_transfer(Client& client);
  void move_elsewhere(Client& client);
  void on_transferred(Client& client, const node::Ticket& ticket, const node::ClientReply& reply);
  void on_answer(Client& client, const node::Ticket& ticket, std::size_t operation,
                 node::ClientReply& reply);
  void refused_full(Client& client, const Operation& asked);
  void forget(Client& client);
  void hang_up(Client& client);
  void connections_lost(const Host& h);

  // founding.cpp: lost disks and lists that change, and that no second cluster comes of them
  void wipe();
  bool lose_disk(Host& h);
  bool another_holds_the_cluster(const Host& h) const;
  void change_list();
  bool lists_agree(const Host& a, const Host& b) const;
  void learn_configuration(const raft::Entry& entry);
  void count_as_lost(Host& h);
  std::size_t voters() const { return voters_ != 0 ? voters_ : hosts_.size(); }
  bool minority_left() const;
  void sample();
  bool founds_another(const Host& h);
  void judge_second_founding(const Host& h);
  void say_state(std::size_t to, const Host& of, bool proven);

  // faults.cpp
  void next_fault();
  void inject(FaultKind kind);
  void inject_process(FaultKind kind);
  void inject_network(FaultKind kind);
  void inject_disk(FaultKind kind);
  void reset_connections();
  void cut_partition(Spell& spell);
  void cut_oneway(Spell& spell);
  void cut(Spell& spell, std::size_t from, std::size_t to);
  void begin(Spell spell, Duration lasts);
  void undo(std::size_t fault);
  void flip();
  void strike(Host& h);
  // hangs.cpp
  void hang();
  void lull();
  void end_hang(const Spell& spell);
  void insist(const Insist& what);
  bool is_healthy();
  std::vector<std::size_t> draw_hosts(std::size_t n);
  // stretches.cpp
  void begin_stretches();
  void remember(const raft::Entry& entry);
  void note_led(const Host& h);
  void stretch(Host& from, std::size_t to, const node::PeerMessage& message);
  void send_stretch(Host& from, std::size_t to);
  void remember_chunk(std::size_t from, const Deliver& chunk);
  void repeat_chunk(std::size_t from, std::size_t to);
  void count_situations(Host& h, const raft::Message& message);
  void ambush();
  void isolate_compacted(Host& h);
  void spring(Host& h);
  std::size_t pick_host();
  std::vector<std::size_t> pick_hosts();
  std::optional<std::size_t> leader();
  void choose_core();

  Options options_;
  Plan plan_;
  Prng network_, disks_, faults_, hosts_random_, ambushes_;
  Instant now_ = kBegin;
  std::uint64_t hash_ = 0;
  std::uint64_t boots_ = 0;
  EventQueue<Action> queue_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Link> links_;
  std::vector<std::string> spare_bytes_;
  std::int64_t loss_percent_ = 0, duplicate_percent_ = 0;
  Duration delay_max_;
  std::vector<Spell> spells_;
  std::size_t churning_ = 0;            // spells of churn
  bool hanging_ = false;                // for minutes: no other fault begins
  bool lull_ = false;                   // nor does anybody ask for anything
  std::optional<Operation> insisted_;   // what is asked for at the end of the lull
  Duration left_;                       // of the time for which its answer is kept, as it begins
  std::size_t lost_hosts_ = 0;          // wiped or refused: of the minority that may be
  std::size_t stretching_ = 0;          // of stretches
  std::deque<raft::Entry> remembered_;  // the newest that are committed
  std::pair<raft::Term, raft::Index> led_from_;          // where the newest leader's log began then
  std::deque<std::pair<raft::Index, raft::Index>> led_;  // of it: where its log ended, its commit
  std::map<std::pair<std::size_t, std::size_t>, std::deque<Deliver>> chunks_;  // the last sent
  std::vector<Client> clients_;
  std::uint64_t connections_ = 0;
  std::uint64_t values_ = 0;
  bool faulty_ = true;
  Instant quiet_at_;
  Instant loaded_until_;       // in the calm: some write on,
  std::size_t slow_host_ = 0;  // and this one is slow
  bool moved_ = true;          // false: a hand-over has to succeed in the calm
  // Of the committed log: the cluster, how many voters it has, and under which incarnations.
  Id128 cluster_;
  std::size_t voters_ = 0;
  std::vector<raft::Incarnation> registered_;
  std::size_t list_ = 0;        // lines of the operator's list now
  std::set<Id128> begun_;       // clusters that were begun before one was committed ...
  std::uint64_t begun_in_ = 0;  // ... and the last of their terms
  bool doomed_ = false;         // too many disks are lost for anything but safety
  std::map<std::pair<raft::Term, std::size_t>, std::vector<std::size_t>> ballots_;  // who voted
  std::vector<Instant> reached_since_;  // by pair: messages could pass both ways; kNever: not now
  bool sampling_ = false;
  bool over_ = false;  // there are two clusters, and no one could have known
  std::map<raft::Term, std::size_t> counted_leaders_;
  Safety safety_;
  Resends resends_, forwards_;
  SentBytes sent_bytes_;
  Beats beats_;
  Leases leases_;
  ReadRounds reads_;
  LogClock log_clock_;
  History history_;
  Tally tally_;
  Violation failure_;
};

}  // namespace vesper::sim
