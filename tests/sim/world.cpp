#include "sim/world.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace vesper::sim {
namespace {

constexpr Duration kShutdownPatience = seconds(1);  // then the process ends, finished or not
constexpr std::uint64_t kLeastSegment = 3 * 512;    // bytes; docs/disk-format.md
constexpr Duration kPollEvery = milliseconds(10);

}  // namespace

void Host::send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) {
  if (lives()) world->send(*this, to, message, channel);
}

void Host::follow(const std::vector<node::Contact>& to) {
  if (lives()) world->follow(*this, to);
}

void Host::reply(const node::Ticket& ticket, node::ClientReply reply) {
  if (lives()) replies.emplace_back(ticket, std::move(reply));
}

void Host::wake(const node::Ticket& ticket) {
  world->woken(ticket);
}

void Host::submit(storage::Job job) {
  if (lives()) disk.submit(std::move(job));
}

World::World(Options options)
    : options_(options),
      plan_(make_plan(options)),
      network_(options.seed * 8 + 2),
      disks_(options.seed * 8 + 3),
      faults_(options.seed * 8 + 4),
      hosts_random_(options.seed * 8 + 5),
      ambushes_(options.seed * 8 + 6),
      copies_(~options.seed * 8 + 6),
      upgrades_(~options.seed * 8 + 7),
      delay_max_(plan_.delay_max),
      drives_(plan_.machines()),
      aliases_(plan_.machines()),
      list_(plan_.servers),
      reached_since_(plan_.machines() * plan_.machines(), kNever),
      safety_(plan_.machines()),
      resends_(plan_.machines()),
      forwards_(plan_.machines()),
      sent_bytes_(plan_.machines()),
      beats_(plan_.machines()),
      leader_leases_(plan_.machines()),
      reads_(plan_.machines()),
      log_clock_(*std::min_element(plan_.rates.begin(), plan_.rates.end()),
                 *std::max_element(plan_.rates.begin(), plan_.rates.end()),
                 plan_.raft.election_timeout.ns * 2) {
  safety_.set_voters(plan_.servers);
  reads_.set_voters(plan_.servers);
  for (std::size_t i = 0; i < plan_.machines(); ++i) {
    hosts_.push_back(std::make_unique<Host>());
    Host& h = *hosts_.back();
    h.world = this;
    h.place = h.drive = i;
    // The others wait until they are added.
    h.id = i < plan_.servers ? raft::ServerId(static_cast<std::uint32_t>(i)) : raft::kNoServer;
    h.clock =
        Clock(kBegin, Instant{hosts_random_.between(1, std::int64_t{1} << 50)}, plan_.rates[i]);
    h.disk = test::MemFs(hosts_random_.next());
    h.disk.lie_after_failed_syncs();
  }
  history_.keep_at_most(plan_.max_idempotency_keys);
  const node::HistoryLimits& kept = plan_.limits.history;
  history_.keep_history({kept.keep_time.ns, kept.keep_bytes, kept.keep_revisions});
  links_.resize(plan_.machines() * plan_.machines());
  for (std::size_t c = 0; c < plan_.clients; ++c) {
    clients_.emplace_back();
    clients_.back().random = Prng(options.seed * 64 + c);
  }
  quiet_at_ = now_ + plan_.faults;
  tally_.count(Count::worlds);
  if (plan_.has(FaultKind::skew)) tally_.count(Count::fault_skew);
}

void World::print(const std::string& line) const {
  std::printf("%12.3f ms  %s\n", static_cast<double>((now_ - kBegin).ns) / 1e6, line.c_str());
}

// ---- start and end of a process -----------------------------------------------------------

raft::Config World::config_of(const Host& h) {
  raft::Config config = plan_.raft;
  config.self = h.id;
  config.incarnation = h.incarnation();
  config.level = h.level;
  config.seed = hosts_random_.next();
  for (std::size_t v = 0; v < h.listed; ++v)
    config.initial_voters.push_back(
        {raft::ServerId(static_cast<std::uint32_t>(v)), fmt::format("http://s{}", v), {}});
  return config;
}

void World::not_started(Host& h, const Error& error) {
  h.recovery = {};
  // On a full disk a server still starts if a term and a vote fit.
  const bool expected = h.failing || (h.full && h.disk.space().free < kLeastSegment);
  h.disk.kill();
  if (h.failing) h.disk.mend();
  h.failing = false;
  trace("server {} does not start: {}", h.number(), error.what);
  if (plan_.has(FaultKind::flip) && !expected && h.outside) {
    // Its data was damaged; the server only has to report it.
    tally_.count(Count::exits_refused);
    h.gone_for_good = true;
    return;
  }
  if (!expected) return fail(fmt::format("server {} does not start: {}", h.number(), error.what));
  tally_.count(Count::exits_storage);
  after(between(faults_, milliseconds(50), seconds(1)), Restart{h.number()});
}

void World::start(Host& h) {
  VESPER_ASSERT(!h.up());
  if (h.gone_for_good) return;
  // The server is not in the list: the command line refuses its id.
  if (!h.joins() && h.number() >= list_)
    return after(between(faults_, milliseconds(50), seconds(1)), Restart{h.number()});
  h.listed = h.joins() ? 0 : list_;
  auto recovered = recover(h);
  if (!recovered) return not_started(h, recovered.error());
  tally_.count(Count::starts);
  h.boot = ++boots_;
  h.recovery = std::move(recovered.value());
  h.born = h.recovery.incarnation;
  // What the checkers know of this incarnation is about its newest disk.
  if (!h.goes_back) safety_.identify(h.drive, h.born.value);
  ++h.starts;
  mix(h.boot);
  for (const std::string& note : h.recovery.notes) trace("server {} found: {}", h.number(), note);
  if (h.recovery.durable.replaces_log) tally_.count(Count::logs_replaced_at_start);
  if (!h.recovery.durable.snapshot.is_none()) tally_.count(Count::starts_from_snapshot);
  observe_restart(h);
  reads_.starts(h.drive);
  h.voted = h.recovery.durable.hard_state;
  h.counted = {};
  h.turns = 0;
  h.node = std::make_unique<node::Node>(config_of(h), raft::BootId(h.boot), plan_.limits,
                                        h.recovery, h, h, h.clock.read(now_));
  if (auto done = h.node->replay(); !done)
    return fail(fmt::format("server {} cannot replay: {}", h.number(), done.error().what));
  trace("server {} starts: term {}, entries {} to {}, committed {}", h.number(),
        h.node->raft().current_term().value, h.node->raft().log().first_index().value,
        h.node->raft().log().last_index().value, h.node->raft().commit_index().value);
  if (h.told) tell_to_be_older(h);  // its record says so
  schedule_turn(h);
}

void World::stop_process(Host& h) {
  // Streams read its store.
  end_streams(h);
  end_watches(h);
  h.replies.clear();
  h.node.reset();
  h.recovery = {};
  h.boot = 0;
  h.paused = h.stopping = false;
  h.while_paused.clear();
  h.overheard.clear();
  h.job_failed = false;
  h.offered = h.emptied = h.changing = {};
  leader_leases_.ends(h.drive);
  h.contacts.clear();
  h.strangers.clear();
  h.turn_scheduled = h.disk_scheduled = false;
  h.wake_at = kNever;
  h.effects_left = Host::kUnlimited;
  h.excused = false;
  h.boots_seen = h.boots_seen_on_disk;
  connections_lost(h);
  connections_end(h);
}

void World::crash(Host& h, Crash how) {
  if (!h.up()) return;
  const bool power = how == Crash::power;
  trace("server {} dies{}", h.number(), power ? " and loses power" : "");
  mix(h.number() * 2 + (power ? 1 : 0));
  stop_process(h);
  if (power) h.disk.lose_power(test::MemFs::Loss::random);
  else h.disk.kill();
}

void World::resume(Host& h) {
  if (!h.paused) return;
  h.paused = false;
  trace("server {} resumes", h.number());
  for (node::Input& post : std::exchange(h.while_paused, {})) h.node->post(std::move(post));
  schedule_turn(h);
}

// Crashes between the calls of a disk job, which a crash at a random instant rarely does.
void World::crash_in_job(Host& h) {
  tally_.count(Count::fault_torn);
  h.disk.cut_power_at(h.disk.steps() + static_cast<std::uint64_t>(faults_.between(0, 4)));
  h.disk.run_one();
  crash(h, draw_crash(60));
  after(between(faults_, {}, seconds(1)), Restart{h.number()});
}

// The process ends with exit code 12, and its supervisor restarts it.
void World::storage_failed(Host& h, const Error& error) {
  trace("server {} ends: {}", h.number(), error.what);
  // A call may fail before the calm and be noticed in it.
  if (!h.failing && !h.job_failed)
    return fail(fmt::format("server {} ends: {}", h.number(), error.what));
  tally_.count(Count::exits_storage);
  h.disk.mend();
  h.failing = false;
  crash(h, Crash::process);
  after(between(faults_, milliseconds(100), seconds(2)), Restart{h.number()});
}

// ---- turns --------------------------------------------------------------------------------

void World::post(Host& h, node::Input post) {
  if (!h.up()) return;
  if (h.paused) {
    h.while_paused.push_back(std::move(post));
    return;
  }
  h.node->post(std::move(post));
  schedule_turn(h);
}

void World::schedule_turn(Host& h) {
  if (h.turn_scheduled || h.paused) return;
  h.turn_scheduled = true;
  after(between(hosts_random_, {}, microseconds(50) + h.slowness), Turn{h.number(), h.boot});
}

void World::turn(Host& h) {
  tally_.count(Count::turns);
  ++h.turns;
  if (h.wake_at <= now_) {
    h.node->post(node::TimerFired{});
    h.wake_at = kNever;
  }
  const bool dies = faulty_ && !hanging_ && plan_.has(FaultKind::effects) && one_in(faults_, 3000);
  if (dies) h.effects_left = faults_.between(0, 5);
  const Instant local = h.clock.read(now_);
  const raft::Raft& raft = h.node->raft();
  take_in(h, local);
  const bool hears = raft.leader() && !raft.is_leader() && !h.excused &&
                     local - raft.leader_heard().at < raft.config().election_timeout;
  h.sticks_to = hears ? raft.current_term() : raft::Term(0);
  begin_turn_of_polls(h);
  const auto deadline = h.node->turn(local);
  h.excused = false;
  // Check what this turn decided, even if nothing of it leaves the server.
  observe(h, deadline ? TurnEnd::whole : TurnEnd::storage_failed);
  if (over_) return;
  if (!deadline) return storage_failed(h, deadline.error());
  end_turn_of_polls(h);
  for (auto& [ticket, reply] : std::exchange(h.replies, {})) on_reply(h, ticket, reply);
  const auto notes = h.node->take_notes();
  if (options_.trace)
    for (const std::string& note : notes) trace("server {}: {}", h.number(), note);
  if (dies) {
    tally_.count(Count::fault_effects);
    trace("server {} dies between two effects", h.number());
    crash(h, draw_crash(50));
    return after(between(faults_, {}, seconds(1)), Restart{h.number()});
  }
  after_turn(h, *deadline);
}

void World::after_turn(Host& h, Instant deadline) {
  if (h.node->is_removed()) return leave(h);
  if (set_aside(h)) return;
  if (h.stopping && h.node->drained()) {
    trace("server {} has shut down", h.number());
    if (h.disk.exists("spare"))
      fail(fmt::format("server {} shut down and keeps space that it does not use", h.number()));
    for (const Client& client : clients_)
      if (client.host == h.number() && !client.open.empty())
        fail(fmt::format("server {} shut down without answering client {}", h.number(),
                         client.connection));
    crash(h, Crash::process);
    return after(between(faults_, {}, seconds(1)), Restart{h.number()});
  }
  if (deadline != kNever) {
    const Instant when = std::max(h.clock.when(deadline), now_ + microseconds(10));
    if (when < h.wake_at) {
      h.wake_at = when;
      at(when, Wake{h.number(), h.boot});
    }
  }
  schedule_disk(h);
  if (churning_ > 0 && h.node->raft().is_leader() &&
      counted_leaders_.emplace(h.node->raft().current_term(), h.number()).second)
    after(between(faults_, {}, milliseconds(25)), Strike{h.number(), h.boot});
}

void World::schedule_disk(Host& h) {
  if (h.disk_scheduled || h.disk.jobs() == 0) return;
  h.disk_scheduled = true;
  const Instant done = now_ + between(disks_, microseconds(50), plan_.disk_max + h.slow_disk);
  at(std::max(done, h.stalled_until), Disk{h.number(), h.boot});
}

void World::run_disk(Host& h) {
  h.disk_scheduled = false;
  if (h.disk.jobs() == 0) return;
  if (h.stalled_until > now_) return schedule_disk(h);
  const bool snapshot = h.disk.next_job().id.owner == storage::JobOwner::snapshots;
  if (faulty_ && !hanging_ && plan_.has(FaultKind::torn) && one_in(faults_, snapshot ? 200 : 2000))
    return crash_in_job(h);
  if (auto done = h.disk.run_one()) {
    tally_.count(Count::disk_jobs);
    mix(std::uint64_t{done->id.owner == storage::JobOwner::snapshots} << 63 | done->id.number);
    h.job_failed |= !done->result;
    if (done->result) h.boots_seen_on_disk = h.boots_seen;
    post(h, node::DiskDone{std::move(*done)});
  }
  schedule_disk(h);
}

// ---- the run ------------------------------------------------------------------------------

struct World::Dispatch {
  World& w;

  void operator()(Deliver& a) const { w.deliver(a); }
  void operator()(const Turn& a) const {
    Host& h = w.host(a.host);
    if (h.boot != a.boot) return;
    h.turn_scheduled = false;
    if (!h.paused) w.turn(h);
  }
  void operator()(const Disk& a) const {
    if (w.host(a.host).boot == a.boot) w.run_disk(w.host(a.host));
  }
  void operator()(const Wake& a) const {
    Host& h = w.host(a.host);
    if (h.boot == a.boot && h.wake_at <= w.now_) w.schedule_turn(h);
  }
  void operator()(const Dial& a) const { w.on_dial(a); }
  void operator()(const Reset& a) const {
    if (w.link(a.from, a.to).epoch == a.epoch) w.reset(a.from, a.to);
  }
  void operator()(const ClientStep& a) const { w.client_step(a.client); }
  void operator()(const Poke& a) const { w.poke(a); }
  void operator()(const Insist& a) const { w.insist(a); }
  void operator()(const Hang&) const { w.hang(); }
  void operator()(const Lull&) const { w.lull(); }
  void operator()(const NextFault&) const { w.next_fault(); }
  void operator()(const Restart& a) const {
    Host& h = w.host(a.host);
    if (!h.up() && !h.hangs && (w.faulty_ || !h.outside)) w.start(h);
  }
  void operator()(const Resume& a) const {
    Host& h = w.host(a.host);
    if (!h.hangs && (w.faulty_ || !h.outside)) w.resume(h);
  }
  void operator()(const Shut& a) const {
    Host& h = w.host(a.host);
    if (h.boot == a.boot) w.post(h, node::Shutdown{});
  }
  void operator()(const Kill& a) const {
    Host& h = w.host(a.host);
    if (h.boot != a.boot) return;
    w.crash(h, a.how);
    w.after(between(w.faults_, {}, seconds(1)), Restart{a.host});
  }
  void operator()(const Strike& a) const {
    if (w.faulty_ && w.host(a.host).boot == a.boot) w.strike(w.host(a.host));
  }
  void operator()(const Spring& a) const {
    if (w.faulty_ && w.host(a.host).boot == a.boot) w.spring(w.host(a.host));
  }
  void operator()(const Undo& a) const {
    if (w.faulty_) w.undo(a.fault);
  }
  void operator()(const Poll&) const { w.poll(); }
  void operator()(const Sample&) const { w.sample(); }
  void operator()(const Pump& a) const { w.pump(a.from, a.to); }
  void operator()(const PageOn& a) const { w.page_on(a); }
  void operator()(const StreamOn& a) const { w.stream_on(a); }
  void operator()(const WatchOn& a) const { w.watch_on(a); }
  void operator()(const BringBack& a) const { w.bring_back(w.host(a.host)); }
  void operator()(const Clear& a) const { w.clear(w.host(a.host)); }
  void operator()(const NextCopy&) const { w.next_copy(); }
  void operator()(const Upgrade& a) const { w.upgrade(w.host(a.host)); }
};

void World::step() {
  Action action = queue_.pop();
  tally_.count(Count::events);
  mix(static_cast<std::uint64_t>(now_.ns) * 16 + action.index());
  std::visit(Dispatch{*this}, action);
}

Violation World::run() {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    after(between(hosts_random_, {}, milliseconds(200)), Restart{i});
  for (std::size_t c = 0; c < clients_.size(); ++c)
    after(between(clients_[c].random, {}, milliseconds(300)), ClientStep{c});
  begin_pollers();
  begin_watches();
  after(between(faults_, {}, seconds(1)), NextFault{});
  if (plan_.has(FaultKind::hang)) after(between(faults_, {}, plan_.faults), Hang{});
  if (plan_.has(FaultKind::copies)) after(between(copies_, {}, seconds(3)), NextCopy{});
  begin_upgrades();
  if (plan_.has(FaultKind::lists)) {
    // Some worlds begin with fewer servers than they have later.
    if (chance(faults_, 50))
      list_ = static_cast<std::size_t>(faults_.between(1, static_cast<std::int64_t>(list_)));
    sample();
  }
  while (!queue_.empty() && !failure_ && !over_) {
    if (faulty_ && queue_.next_at() >= quiet_at_) become_quiet();
    now_ = std::max(now_, queue_.next_at());
    if (!faulty_ && now_ > quiet_at_ + plan_.settle && doomed_) break;
    if (!faulty_ && now_ > quiet_at_ + plan_.settle)
      fail(fmt::format("liveness: {} {} ms after the last fault",
                       !moved_                              ? "no hand-over has succeeded"
                       : drill_.stage != Drill::Stage::over ? "a lock is not passed on"
                       : !all_watched() ? "V2: a watch has not got what is committed"
                                        : "not recovered",
                       plan_.settle.ms()));
    else step();
    if (!faulty_ && queue_.empty()) break;
  }
  if (!failure_) judge_end();
  for (auto& h : hosts_) h->replies.clear();  // streams, before the store that they read
  return failure_;
}

// The faults stop, except for a minority that the others have to do without.
void World::become_quiet() {
  now_ = quiet_at_;
  trace("quiet from now on");
  for (std::size_t s = 0; s < spells_.size(); ++s) undo(s);
  faulty_ = false;
  // At the end all servers have the same complete list.
  list_ = plan_.servers;
  for (auto& h : hosts_)
    if (h->up() && !h->joins() && h->listed != list_) {
      crash(*h, Crash::process);
      h->disk.mend();
      start(*h);
    }
  end_upgrades();
  // Messages still in flight may be overtaken.
  for (std::size_t i = 0; !plan_.in_order && i < hosts_.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) sent_bytes_.lost(i, j);
  plan_.in_order = true;  // Q: a fair network
  judge_quorums();
  clear_strays();
  if (plan_.has(FaultKind::core)) choose_core();
  clear_copies();
  for (auto& h : hosts_) {
    if (h->outside) continue;
    h->disk.mend();
    h->failing = false;
    resume(*h);
    if (h->retired) clear(*h);
    if (!h->up()) start(*h);
  }
  // Requests for locks on one connection wait one after the other, longer than the calm lasts.
  for (Client& client : clients_)
    if (std::count_if(client.open.begin(), client.open.end(), [this](const auto& open) {
          return history_.operation(open.second).claim.kind == Claim::Kind::acquire;
        }) > 1)
      hang_up(client);
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i]->outside || !is_awaited(*hosts_[i])) continue;
    clients_.emplace_back();
    clients_.back().random = Prng(options_.seed * 64 + 32 + i);
    clients_.back().host = i;
    clients_.back().probe = true;
    after(between(network_, {}, milliseconds(100)), ClientStep{clients_.size() - 1});
  }
  want_hand_over();
  begin_drill();
  load_slow_follower();
  after(kPollEvery, Poll{});
}

void World::poll() {
  judge_late();
  restore_addresses();
  clear_strays();  // of those that have started in the calm
  withdraw_doubles();
  if (!settled()) return after(kPollEvery, Poll{});
  const auto took = static_cast<std::uint64_t>((now_ - quiet_at_).ms());
  trace("all is well {} ms after the last fault", took);
  tally_.count(Count::settled_ms, took);
  tally_.at_least(Count::settled_ms_max, took);
  queue_ = {};
}

bool World::settled() {
  moved_ = moved_ || !can_hand_over();
  if (!moved_ || now_ < loaded_until_ || drill_.stage != Drill::Stage::over || !all_watched())
    return false;
  for (const Client& client : clients_) {
    const Host& h = host(client.host);
    if (client.probe && !client.satisfied() && takes_part(h)) return false;
    // A long poll may wait on.
    if (client.poll && !client.poll->is_due()) continue;
    // A server that is no member answers when it has lost patience.
    if (!client.open.empty() && !h.outside && takes_part(h)) return false;
  }
  if (!members_settled() || is_late()) return false;
  std::optional<raft::ServerId> leader;
  std::optional<Id128> digest;
  for (const auto& h : hosts_) {
    if (h->outside || h->gone_for_good || !is_awaited(*h)) continue;
    if (!h->serves()) return false;
    const raft::Raft& raft = h->node->raft();
    if (!raft.leader() || (leader && *leader != *raft.leader())) return false;
    leader = raft.leader();
    // Q5: a server with a disk that never answers must not lead.
    if (raft.is_leader() && h->stalled_until == kNever) return false;
    if (raft.commit_index() != raft.log().last_index()) return false;
    if (h->node->applied_index() != raft.commit_index()) return false;
    const Id128 here = h->node->store().digest();
    if (digest && *digest != here) return false;
    digest = here;
  }
  return true;
}

void World::judge_end() {
  check(history_.judge_connections());
  tally_.count(Count::tokens_forgotten, history_.forgotten());
  tally_.count(Count::tokens_kept_over_outages, history_.kept_over_outages());
  tally_.count(Count::full_tables_with_room_again, history_.room_again());
  tally_.count(Count::promises, leader_leases_.promises());
  for (const auto& h : hosts_)
    if (h->up() && h->node && !failure_) {
      compare_store(*h);
      if (h->node->applied_index().value == safety_.committed().size()) compare_history(*h);
    }
}

}  // namespace vesper::sim
