// A whole cluster in one thread and one clock: the production node (actor, Raft, store, log,
// snapshots) over a simulated network, disk and clocks. One seed determines the world; the same
// seed gives the same run, bit for bit.
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
#include "sim/actions.hpp"
#include "sim/credentials.hpp"
#include "sim/event_queue.hpp"
#include "sim/history.hpp"
#include "sim/host.hpp"
#include "sim/leader_leases.hpp"
#include "sim/log_clock.hpp"
#include "sim/plan.hpp"
#include "sim/polls.hpp"
#include "sim/reads.hpp"
#include "sim/resends.hpp"
#include "sim/safety.hpp"
#include "sim/tally.hpp"
#include "sim/viewer.hpp"

namespace vesper::sim {

class World : private Actions {
 public:
  explicit World(Options options);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Runs faults and clients, then the calm in which all servers must answer and agree. Returns the
  // first violation, or nothing.
  Violation run();

  const Tally& tally() const { return tally_; }
  Duration lasted() const { return now_ - kBegin; }
  // A hash of everything that happened, in order.
  std::uint64_t trace_hash() const { return hash_; }

 private:
  friend struct Host;
  static constexpr Instant kBegin{1'000'000'000};
  static constexpr std::uint64_t kNonce = std::uint64_t{1} << 50;  // a revision that never exists

  struct Dispatch;

  // The connection that `from` has dialled and sends on.
  struct Link {
    bool up = false;
    raft::ServerId as = raft::kNoServer;      // the member that `to` is, as `from` knows
    raft::ServerId sender = raft::kNoServer;  // the member that `from` is, as `to` knows
    node::Greeting said;                      // by `from`, in the handshake
    raft::ServerId announced_as;              // to `from`, if `announced`
    bool dialling = false;
    bool announced = false;      // PeerConnected was posted, and no PeerDisconnected since
    std::uint64_t met_boot = 0;  // the boot id of the other process when last met
    std::uint64_t epoch = 0;     // messages of an older connection are lost
    Instant last_delivery[2];    // for control and bulk
    std::int64_t cuts = 0;       // number of faults that block this direction
    std::int64_t rate = 0;       // bytes a second; 0: unlimited
    struct Queue {
      std::deque<Deliver> waiting;
      std::size_t bytes = 0;
      std::size_t head_left = 0;  // bytes left of the first message
    };
    Queue queues[2];         // for control and bulk, while the link is slow
    std::size_t served = 0;  // the queue that was served last
    bool pumping = false;
  };
  // What a fault did and its end has to undo.
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
    std::uint64_t connection = 0, next_request = 1;  // a connection of 0: none
    bool probe = false;  // sends a read and a write at the end until both are served
    bool mover = false;  // asks for transfers at the end until one succeeds
    bool loader = false, drills = false;  // keeps writing in the calm; takes part in its drill
    bool polls = false;                   // waits for changes, with one long poll at a time
    std::optional<PollCheck> poll;        // the open one
    std::uint64_t poll_request = 0;       // of the open one
    std::optional<Operation> polled;      // what it polls
    std::size_t served = 0;               // requests served since its last step
    std::int64_t reads_on = 0;  // reads left in a series, each asked after the previous answer
    std::map<std::uint64_t, std::optional<raft::ServerId>> transfers;  // by request: the target
    std::map<std::uint64_t, std::size_t> open;                         // request -> operation
    std::map<std::string, std::uint64_t> revisions;                    // by key, the last one seen
    std::uint64_t highest = 1;    // the highest revision of the store that it has seen
    std::deque<Operation> again;  // requests to retry: refused, or with an unknown outcome
    std::deque<Operation> keyed;  // its last writes with idempotency keys
    std::deque<Fence> holds;      // the last locks and elections that it was granted
    bool is_plain() const { return !probe && !mover && !loader && !drills; }
    // A read and a write were served.
    bool satisfied() const { return served >= 2 && open.empty(); }
  };

  // In the calm: one client holds a lock, a second one waits for it and hangs up, a third one waits
  // until it is granted the lock. See drill.cpp.
  struct Drill {
    enum class Stage : std::uint8_t { acquire, queue_first, queue_second, hang_up, pass_on, over };
    Stage stage = Stage::over;
    std::size_t first_client = 0;  // the holder; the other two follow
    LockId lock;
    std::uint64_t token = 0;
    std::uint64_t place = 0;  // of the one that hangs up
    bool releases = false;    // the holder releases the lock; else it lets it lapse
    Instant renewed_at;
  };

  // A range that is read page by page.
  struct Pages {
    Act whole;
    std::uint64_t revision = 0;
    RangeText all;   // so far
    Operation next;  // the page to ask for
  };
  // A stream that is read piece by piece.
  struct Reading {
    std::size_t host = 0;
    std::unique_ptr<kv::RangeStream> stream;
    RangeText right;                    // all of it, from the model
    std::size_t kvs = 0, prefixes = 0;  // of it, already read
    std::size_t pieces = 0;
    std::uint64_t installed = 0;  // snapshots that its server had installed when it began
  };

  // One watch of a client, as the client sees it.
  struct Watching {
    enum class Kinds { puts, deletes, all };
    Space space = Space::keys;
    std::vector<Span> spans;
    Kinds kinds = Kinds::all;
    bool prev = false;
    bool begins_with_state = false;
    bool in_stream = false;           // it was added, and neither removed nor closed
    std::optional<node::WatchId> id;  // the last one that it got
    std::size_t next = 0;             // of the model's events, if it has an id
    bool reads_state = false;
    std::vector<std::string> state;  // so far
    bool covers(std::string_view key) const;
  };
  // A client that watches, and goes on at another server when it is cut off. Its watches come and
  // go while its stream runs.
  struct Watcher {
    Prng random{0};
    std::size_t host = 0;
    std::unique_ptr<node::WatchStream> stream;  // null: it is cut off
    bool waits = false;                         // until it is woken
    bool stale = false;                         // as it was told
    std::vector<Watching> watches;              // by number
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
  Crash draw_crash(std::int64_t power_percent) {
    return chance(faults_, power_percent) ? Crash::power : Crash::process;
  }
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
  void crash(Host& h, Crash how);
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

  // observe.cpp: reports to the checkers
  enum class TurnEnd : std::uint8_t { whole, storage_failed };
  void observe(Host& h, TurnEnd end);
  void feed(const raft::Entry& entry);
  void count_expired(std::size_t events, std::size_t sessions);
  void observe_restart(Host& h);
  void observe_stickiness(Host& h);
  void observe_send(Host& h, const node::PeerMessage& message);
  void observe_vote(Host& h, raft::ServerId to, const node::PeerMessage& message);
  std::int64_t followed_until(const Host& h, raft::Term term) const;
  std::int64_t followed_by_members(const Host& h, raft::Term term, const Roster& roster) const;
  static std::optional<Roster> roster_after(const raft::Entry& entry, const Roster* before);
  // witness.cpp: reports about leases and reads
  void observe_heartbeat(Host& h, const raft::Message& message);
  Instant followed_by(const Host& h, const node::PeerMessage& message) const;
  void overhear(Host& h, const Deliver& message, const node::PeerMessage& decoded);
  void take_in(Host& h, Instant local);
  void observe_leader_leases(Host& h);
  void observe_read(Host& h, const Operation& asked, const node::ReadResult& read);

  void count(Host& h);
  void compare_store(const Host& h);
  void compare_holdings(const Host& h);
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
  std::optional<std::size_t> route(const Host& from, raft::ServerId to) const;
  void send(Host& from, raft::ServerId to, const node::PeerMessage& message, raft::Channel channel);
  void transmit(Host& from, std::size_t to, const node::PeerMessage& message,
                raft::Channel channel);
  void follow(Host& h, const std::vector<node::Contact>& contacts);
  void keep_diallers(Host& h, const std::vector<node::Contact>& before);
  bool has_another_number(const Host& h, const Link& in) const;
  std::vector<node::Contact> expected_at(const Host& from, std::size_t to) const;
  void meet_stranger(Host& h, const Host& dialler, raft::ServerId number);
  void deliver(Deliver& message);
  void schedule_delivery(Link& link, raft::Channel channel, Deliver message);
  void dial(std::size_t from, std::size_t to, Duration delay);
  void on_dial(const Dial& dial);
  enum class Handshake : std::uint8_t { passed, refused, silent };
  Handshake handshake(Host& from, Host& to);
  void refused(const Host& a, const Host& b, const node::PeerRefusal& refusal);
  raft::ServerId judge(Host& a, Host& b, const node::Contact& expected);
  void meet(std::size_t host, std::size_t other);
  void announce(std::size_t host, std::size_t other, raft::ServerId as);
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
  void on_read(Client& client, std::size_t operation, node::ReadResult& read);
  void count_outcome(const Operation& asked, const Outcome& outcome);
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

  // invent.cpp
  std::uint64_t draw_revision(Client& client);
  std::string draw_value(Client& client);
  Act draw_write(Client& client);
  Check draw_check(Client& client);
  std::shared_ptr<Txn> draw_lopsided_txn(Client& client, const std::string& key);
  std::shared_ptr<Txn> draw_txn(Client& client, bool writes, std::size_t depth);
  void invent_read(Client& client, Operation& operation);
  static Operation invent_polled(Client& client);
  Operation invent_more(Client& client);

  // claims.cpp: leases, locks, elections, and what ends by itself
  Operation invent_timed(Client& client);
  std::int64_t draw_ttl(Prng& random);
  std::uint64_t draw_lease(Prng& random);
  Fence draw_hold(Client& client);
  Claim draw_claim(Client& client);
  std::shared_ptr<const node::LockWait> claim_at(const Host& h, Operation& operation);
  void on_claim(Client& client, const Operation& asked, const kv::WriteResult& result);
  void repeat_renewal(Client& client, const Operation& asked);
  // drill.cpp
  void begin_drill();
  void drill_step(std::size_t c);
  void drill_on(Client& client, std::size_t role);
  kv::LogTime time_reached(const Host& h) const;
  bool is_late() const;
  void judge_late();
  void judge_overdue(const Host& h, const Operation& asked, const node::ReadResult& read);

  // streams.cpp
  void on_page(Client& client, const Operation& asked, const node::RangeFound& found);
  void page_on(const PageOn& on);
  void on_stream(const Client& client, const Operation& asked, node::StreamFound& found);
  void stream_on(const StreamOn& on);
  void stream_during_install(Host& h);
  void end_streams(const Host& h);
  void compare_history(const Host& h);

  // pollers.cpp
  void begin_pollers();
  void poll_step(Client& client);
  std::shared_ptr<const node::ChangeWait> wait_at(Client& client, const Host& h,
                                                  const Operation& operation, Duration patience);
  void begin_turn_of_polls(const Host& h);
  void end_turn_of_polls(const Host& h);
  void on_poll_answered(Client& client, const node::ReadResult& read);
  void on_poll_refused(const Client& client, node::Refusal why);

  // watchers.cpp
  void begin_watches();
  bool passes(const Watching& watching, const Model::Event& event) const;
  std::size_t next_event_of(const Watching& watching) const;
  void watched_up_to(Watching& watching, std::uint64_t revision);
  void open_watches(Watcher& watcher, std::size_t n);
  void add_watch(Watcher& watcher, std::size_t number);
  void change_watches(Watcher& watcher);
  void cut_off(Watcher& watcher);
  void watch_on(const WatchOn& on);
  void on_watch_output(Watcher& watcher, const node::WatchOutput& output);
  void on_watch_item(Watching& watching, const node::WatchItem& item);
  void on_watch_progress(Watching& watching, std::uint64_t revision);
  void on_watch_event(Watching& watching, const node::WatchEvent& event);
  void on_watch_synced(Watching& watching, std::uint64_t revision);
  void woken(const node::Ticket& ticket);
  void end_watches(const Host& h);
  bool all_watched() const;
  void view_on();  // viewer.cpp
  void observe_trace(const Host& from, const node::PeerMessage& message);

  // founding.cpp: lost disks and changing lists, and the check for a second cluster
  void wipe();
  bool lose_disk(Host& h);
  void new_disk(Host& h);
  bool another_holds_the_cluster(const Host& h) const;
  void change_list();
  bool lists_agree(const Host& a, const Host& b) const;
  void learn_configuration(const raft::Entry& entry);
  void too_many_lost();
  void sample();
  bool founds_another(const Host& h);
  void judge_second_founding(const Host& h);
  enum class Identity : std::uint8_t { proven, unproven };
  void say_state(std::size_t to, const Host& of, Identity identity);

  // copies.cpp: machines that get an older copy of their disk
  void next_copy();
  bool may_go_back(const Host& h) const;
  void go_back(Host& h);
  bool is_unnoticed(const Host& a, const Host& b) const;
  void learn_boots(Host& a, Host& b);
  void tell_to_be_older(Host& h);
  void observe_copy(const Host& h, const node::PeerMessage& sent);
  bool set_aside(Host& h);

  // upgrades.cpp: builds of different feature levels
  void begin_upgrades();
  void upgrade(Host& h);
  void end_upgrades();
  void judge_level(const Roster& roster);
  bool levels_settled() const;

  // members.cpp: the members change, and disks come back
  bool has_disk(std::uint64_t incarnation, const Host* without) const;
  std::vector<const Roster*> rosters() const;
  bool may_lose(const Host& h, raft::Incarnation instead = {}) const;
  bool counts(const Host& h) const;
  bool takes_part(const Host& h) const;
  bool is_awaited(const Host& h) const;
  std::optional<std::size_t> host_at(std::string_view address) const;
  std::string address_of(const Host& h) const;
  void learn_roster(const Roster& roster);
  static std::string seats_of(const Roster& roster);
  void bring_back(Host& h);
  void leave(Host& h);
  void clear(Host& h);
  void change_members();
  std::vector<std::size_t> idle_machines() const;
  raft::MembersRequest draw_change(const Roster& roster);
  static bool is_operator(const node::Ticket& ticket);
  void judge_quorums();
  void on_members_reply(const node::Ticket& ticket, const node::ClientReply& reply);
  bool can_hand_over() const;
  bool is_alone(const Host& h) const;
  void restore_addresses();
  void clear_strays();
  void withdraw_doubles();
  void clear_copies();
  bool members_settled() const;

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
  void isolate_changing(Host& h);
  void isolate(Host& h);
  void end_isolation();
  void spring(Host& h);
  std::size_t pick_host();
  std::vector<std::size_t> pick_hosts();
  std::optional<std::size_t> leader();
  void choose_core();

  Options options_;
  Plan plan_;
  Prng network_, disks_, faults_, hosts_random_, ambushes_, copies_, upgrades_;
  Instant now_ = kBegin;
  std::uint64_t hash_ = 0, boots_ = 0;
  EventQueue<Action> queue_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Link> links_;
  std::vector<std::string> spare_bytes_;
  std::int64_t loss_percent_ = 0, duplicate_percent_ = 0;
  Duration delay_max_;
  std::vector<Spell> spells_;
  std::size_t churning_ = 0;            // active spells of churn
  bool hanging_ = false;                // for minutes: no other fault begins
  bool lull_ = false;                   // clients send nothing
  std::optional<Operation> insisted_;   // the request to retry at the end of the lull
  Duration left_;                       // how long its result is still kept when the lull begins
  std::size_t stretching_ = 0;          // active spells of stretch
  std::deque<raft::Entry> remembered_;  // the newest committed entries
  std::pair<raft::Term, raft::Index> led_from_;  // the newest leader's term, its log's base then
  std::deque<std::pair<raft::Index, raft::Index>> led_;  // since then: its log's end, its commit
  std::map<std::pair<std::size_t, std::size_t>, std::deque<Deliver>> chunks_;  // the newest
  std::vector<Client> clients_;
  std::map<std::uint64_t, Pages> pages_;
  std::map<std::uint64_t, Reading> readings_;  // of streams of the hosts' stores, so after hosts_
  std::deque<Watcher> watchers_;               // after hosts_, as well
  Viewer viewer_;                              // the same
  std::uint64_t last_pages_ = 0, last_reading_ = 0, connections_ = 0, values_ = 0;
  Credentials credentials_;
  std::map<std::uint64_t, std::uint64_t> forbidden_;  // change -> opened() when it was asked for
  std::deque<std::uint64_t> leases_;                  // the last ones that clients were granted
  bool faulty_ = true;
  Instant quiet_at_;
  Instant loaded_until_;       // in the calm: loaders write until then
  std::size_t slow_host_ = 0;  // in the calm: the slow server
  Drill drill_;
  std::optional<raft::Term> steady_term_;  // in the calm: of the leader, and since when it leads
  Instant steady_since_;
  bool moved_ = true;  // false: a leadership transfer still has to succeed in the calm
  // From the committed log: the cluster, and the voters that founded it.
  Id128 cluster_;
  std::size_t voters_ = 0;
  std::size_t drives_ = 0;            // disks that there ever were
  std::uint64_t changes_ = 0;         // requests to change the members
  Instant blocked_at_;                // a leader knew that it could have nothing written
  Instant withdraws_at_;              // not before: the last request may still be answered
  std::vector<std::size_t> aliases_;  // by host: how many addresses it had before its present one
  std::set<std::uint64_t> members_ever_;  // the incarnations that were ever committed
  std::size_t list_ = 0;                  // current length of the operator's list
  std::set<Id128> begun_;                 // clusters that were begun before one was committed
  std::uint64_t begun_in_ = 0;            // the highest term among those
  bool doomed_ = false;                   // too many disks are lost: only safety is checked
  std::map<std::pair<raft::Term, std::size_t>, std::vector<std::size_t>> ballots_;  // the voters
  std::vector<Instant> reached_since_;  // by pair: when both directions opened; kNever: not open
  bool sampling_ = false;
  bool over_ = false;  // two clusters exist, and no server could have known
  std::map<raft::Term, std::size_t> counted_leaders_;
  Safety safety_;
  Resends resends_, forwards_;
  SentBytes sent_bytes_;
  Beats beats_;
  LeaderLeases leader_leases_;
  ReadRounds reads_;
  LogClock log_clock_;
  History history_;
  Tally tally_;
  Violation failure_;
};

}  // namespace vesper::sim
