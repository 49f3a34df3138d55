// What the world tells its checkers: everything that leaves a server, and the state of a server
// after each turn.
#include <algorithm>
#include <cerrno>

#include "base/checksum.hpp"
#include "raft/entry.hpp"
#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::uint64_t kCompareEvery = 256;  // turns of a host
constexpr std::size_t kTokensCompared = 32;
constexpr std::uint64_t kHeldPerPeer = 10;

LogView view_of(const raft::Log& log) {
  const raft::Index base = log.base_index();
  return {base.value, log.term_at(base).value_or(raft::Term(0)).value, log.last_index().value};
}

std::uint64_t hash_of(const raft::Entry& entry) {
  return checksum64(entry.bytes.view());
}

// What servers of the same index have in common beside the versions, in case the digest lacks it.
std::uint64_t rest_of(const kv::Store& store) {
  const auto& times = store.times().samples();
  std::uint64_t sum = store.quota_exceeded() ? 1 : 0;
  for (const std::uint64_t word :
       {store.keyspace().oldest_revision(), store.cost(), std::uint64_t{times.size()},
        times.empty() ? 0 : times.front().revision, times.empty() ? 0 : times.back().revision,
        static_cast<std::uint64_t>(store.times().spacing().ns),
        static_cast<std::uint64_t>(store.next_expiry().value),
        std::uint64_t{store.locks().waiters()}})
    sum = (sum ^ word) * 0x9e3779b97f4a7c15 + (sum >> 29);
  return sum;
}

}  // namespace

// As the checkers read it. Nothing if the entry does not change it.
std::optional<Roster> World::roster_after(const raft::Entry& entry, const Roster* before) {
  if (entry.type == raft::EntryType::noop || entry.type == raft::EntryType::command)
    return std::nullopt;
  const RosterEntry kind =
      entry.type == raft::EntryType::registration ? RosterEntry::registration : RosterEntry::whole;
  return read_roster(kind, entry.payload().view(), entry.index.value, before);
}

void World::observe_send(Host& h, const node::PeerMessage& message) {
  const auto* m = std::get_if<raft::Message>(&message);
  if (m == nullptr || founds_another(h)) return;  // observe() checks that
  const std::size_t who = h.drive;
  const std::uint64_t incarnation = h.incarnation().value;
  const std::uint64_t now_term = h.node->raft().current_term().value;
  if (const auto* request = std::get_if<raft::VoteRequest>(m)) {
    if (request->pre_vote) return;  // no server has entered its term yet
    if (h.campaigned < request->term) tally_.count(Count::elections);
    if (h.campaigned < request->term && request->transfer) tally_.count(Count::hand_overs);
    h.campaigned = std::max(h.campaigned, request->term);
    return check(safety_.votes(who, incarnation, request->term.value, h.node->raft().self().value));
  }
  safety_.promises_term(who, raft::term_of(*m).value);
  if (const auto* append = std::get_if<raft::AppendEntries>(m))
    return check(safety_.leads(who, append->term.value));
  if (const auto* now = std::get_if<raft::TimeoutNow>(m))
    return check(safety_.leads(who, now->term.value));
  observe_heartbeat(h, *m);
  if (const auto* heartbeat = std::get_if<raft::Heartbeat>(m))
    return check(safety_.leads(who, heartbeat->term.value));
  if (const auto* reply = std::get_if<raft::AppendReply>(m)) {
    if (reply->success)
      safety_.acknowledges(who, reply->term.value, reply->match_index.value, now_term);
  } else if (const auto* done = std::get_if<raft::InstallSnapshotReply>(m)) {
    if (done->done) safety_.acknowledges(who, done->term.value, done->match_index.value, now_term);
  }
}

// The receiver of a granted vote is its candidate.
void World::observe_vote(Host& h, raft::ServerId to, const node::PeerMessage& message) {
  const auto* m = std::get_if<raft::Message>(&message);
  const auto* vote = m == nullptr ? nullptr : std::get_if<raft::VoteReply>(m);
  if (vote == nullptr || vote->pre_vote || !vote->granted()) return;
  check(safety_.votes(h.drive, h.incarnation().value, vote->for_term.value, to.value));
  ballots_[{vote->for_term, to.value}].push_back(h.number());
  // A server that forgets its vote does so before anything else is written: crash it now.
  if (faulty_ && plan_.has(FaultKind::power) && one_in(faults_, 30))
    after(between(faults_, {}, milliseconds(3)), Kill{h.number(), h.boot, draw_crash(70)});
}

// E12: if a turn begins with a leader that was heard lately, the server grants no vote in that
// turn.
void World::observe_stickiness(Host& h) {
  const raft::HardState& now = h.node->raft().hard_state();
  if (h.sticks_to.value == 0 || now.current_term <= h.sticks_to) return;
  if (!now.voted_for || *now.voted_for == h.node->raft().self()) return;
  fail(fmt::format("E12: server {} votes in term {} while it hears the leader of term {}",
                   h.number(), now.current_term.value, h.sticks_to.value));
}

void World::observe(Host& h, TurnEnd end) {
  const raft::Raft& raft = h.node->raft();
  observe_stickiness(h);
  if (founds_another(h)) return judge_second_founding(h);
  observe_leader_leases(h);
  note_led(h);
  const raft::Log& log = raft.log();
  const std::size_t who = h.drive;
  const bool leads = raft.is_leader();
  const Safety::Role role = leads ? Safety::Role::leader : Safety::Role::other;
  if (leads && voters_ == 0) {
    safety_.set_voters(raft.configuration().members.size());
    reads_.set_voters(raft.configuration().members.size());
  }
  if (raft.writes().durable_index().value > 0) h.holds = raft.configuration().cluster_id;
  const auto term_at = [&](std::uint64_t i) { return log.at(raft::Index(i)).term.value; };
  const auto hash_at = [&](std::uint64_t i) { return hash_of(log.at(raft::Index(i))); };
  const auto roster_at = [&](std::uint64_t i, const Roster* before) {
    return roster_after(log.at(raft::Index(i)), before);
  };
  check(safety_.follow(who, view_of(log), role, term_at, hash_at, roster_at));
  if (failure_) return;
  // C3: the configuration in force is the last one in the log, committed or not.
  if (const Roster* in_log = safety_.roster_of(who);
      in_log != nullptr && in_log->index != raft.configuration().index.value)
    return fail(
        fmt::format("C3: server {} goes by configuration {}, but the last one in its log "
                    "is {}",
                    h.number(), raft.configuration().index.value, in_log->index));
  const std::size_t committed = safety_.committed().size();
  check(safety_.commits(who, raft.current_term().value, role, raft.commit_index().value,
                        raft.writes().durable_index().value));
  const bool more = safety_.committed().size() > committed;
  if (leads && raft.write_block() == raft::WriteBlock::full) blocked_at_ = now_;
  if (leads || more)
    log_clock_.leads({(now_ - kBegin).ns, raft.current_term().value,
                      raft.commit_index() == log.last_index(), more, is_healthy()});
  for (std::size_t i = committed; i < safety_.committed().size() && !failure_; ++i)
    feed(log.at(raft::Index(i + 1)));
  check(safety_.in_term(who, raft.current_term().value, role));
  if (end == TurnEnd::storage_failed || failure_) return;
  const Id128 digest = h.node->store().digest();
  check(safety_.applied(who, h.node->applied_index().value,
                        {digest.high, digest.low ^ rest_of(h.node->store())}));
  mix(digest.low);
  check_bounds(h);
  if (h.turns % kCompareEvery == 0) {
    check(safety_.compare_all(who, hash_at));
    compare_store(h);
  }
  count(h);
  isolate_compacted(h);
  isolate_changing(h);
}

void World::feed(const raft::Entry& entry) {
  tally_.count(Count::entries_committed);
  remember(entry);
  const std::uint64_t oldest = history_.model().oldest();
  const std::uint64_t revision = history_.revision();
  const bool over = history_.model().over_quota();
  check(log_clock_.commits(entry.term.value, entry.time.value));
  if (entry.type == raft::EntryType::command) {
    const std::string_view payload = entry.payload().view();
    const std::size_t events = history_.model().events().size();
    const std::size_t sessions = history_.model().holdings().sessions.size();
    check(
        entry.origin.sequence == 0 || History::is_of_server(payload)
            ? history_.housekept(payload, entry.time.value, log_clock_.passed(), entry.index.value)
            : history_.committed(checksum64(payload), entry.time.value, log_clock_.passed(),
                                 entry.index.value));
    credentials_.learn(history_.model().holdings());
    if (entry.origin.sequence == 0) count_expired(events, sessions);
    if (history_.model().oldest() != oldest) tally_.count(Count::compactions);
    if (!over && history_.model().over_quota()) tally_.count(Count::quotas_reached);
    if (over && !history_.model().over_quota()) tally_.count(Count::quotas_with_room_again);
    if (history_.revision() > revision && history_.model().events().size() == events)
      tally_.count(Count::quotas_with_an_empty_revision);
    return;
  }
  learn_configuration(entry);
}

// A command of a leader ended what is due.
void World::count_expired(std::size_t events, std::size_t sessions) {
  const Model& model = history_.model();
  for (; events < model.events().size(); ++events) {
    const Model::Event& event = model.events()[events];
    if (!event.expired) continue;
    const bool leased = event.space == Space::keys && model.before(event).lease != 0;
    tally_.count(leased                       ? Count::leased_keys_expired
                 : event.space == Space::keys ? Count::keys_expired
                                              : Count::locks_expired);
  }
  if (model.holdings().sessions.size() < sessions) tally_.count(Count::sessions_lapsed);
}

void World::observe_restart(Host& h) {
  const raft::RecoveredState& durable = h.recovery.durable;
  const std::uint64_t base = durable.begins().index.value;
  const LogView view{base, durable.begins().term.value, base + durable.entries.size()};
  const auto entry = [&](std::uint64_t i) -> const raft::Entry& {
    return durable.entries[i - base - 1];
  };
  std::optional<std::uint64_t> voted_for;
  if (durable.hard_state.voted_for) voted_for = durable.hard_state.voted_for->value;
  check(safety_.restarts(
      h.drive, h.incarnation().value, durable.hard_state.current_term.value, voted_for, view,
      [&](std::uint64_t i) { return entry(i).term.value; },
      [&](std::uint64_t i) { return hash_of(entry(i)); },
      [&](std::uint64_t i, const Roster* before) { return roster_after(entry(i), before); }));
}

// What a hung or completely full disk holds back must not grow with time.
void World::check_bounds(Host& h) {
  const raft::Raft& raft = h.node->raft();
  const std::uint64_t writes = raft.writes().last_write().value - raft.writes().persisted().value;
  const std::size_t peers = std::max(hosts_.size(), raft.configuration().members.size());
  const std::uint64_t most = kHeldPerPeer * peers + 2 * writes;
  tally_.at_least(Count::held_most, h.node->held_envelopes());
  if (h.node->held_envelopes() > most)
    fail(fmt::format("bounds: {} messages of server {} wait for {} writes",
                     h.node->held_envelopes(), h.number(), writes));
  check_uncommitted(h);
}

// A leader that has reached its limit of uncommitted bytes of its own term accepts no command
// before something is committed.
void World::check_uncommitted(Host& h) {
  const raft::Raft& raft = h.node->raft();
  const raft::Log& log = raft.log();
  const Host::Full before = std::exchange(h.full_log, {});
  if (!raft.is_leader()) return;
  if (before.term == raft.current_term() && before.commit == raft.commit_index())
    for (raft::Index i = before.last.next(); i <= log.last_index(); i = i.next())
      if (log.at(i).type == raft::EntryType::command)
        return fail(fmt::format("bounds: leader {} takes entry {}, though too much is uncommitted",
                                h.number(), i.value));
  std::uint64_t bytes = 0;
  for (raft::Index i = log.last_index();
       i > raft.commit_index() && log.at(i).term == raft.current_term();
       i = raft::Index(i.value - 1))
    bytes += log.at(i).bytes.size();
  tally_.at_least(Count::uncommitted_most, bytes);
  if (bytes < plan_.raft.max_uncommitted_bytes) return;
  tally_.count(Count::turns_full);
  h.full_log = {raft.current_term(), raft.commit_index(), log.last_index()};
}

// Recomputes the digest and compares each item with the model.
void World::compare_store(const Host& h) {
  const kv::Store& store = h.node->store();
  tally_.count(Count::digests_recomputed);
  if (store.recomputed_digest() != store.digest())
    return fail(fmt::format("L20: server {}: its digest does not match its items", h.number()));
  if (h.node->applied_index().value != safety_.committed().size()) return;
  tally_.count(Count::stores_compared);
  if (store.revision() != history_.revision() || store.size() != history_.keys())
    return fail(fmt::format("L20: server {} has revision {} and {} keys, expected {} and {}",
                            h.number(), store.revision(), store.size(), history_.revision(),
                            history_.keys()));
  const Model& model = history_.model();
  if (store.keyspace().oldest_revision() != model.oldest() ||
      store.quota_exceeded() != model.over_quota() || store.cost() != model.cost())
    return fail(
        fmt::format("H3: server {} is compacted to {}, has {} bytes (quota reached: {}), right "
                    "is {}, {} ({})",
                    h.number(), store.keyspace().oldest_revision(), store.cost(),
                    store.quota_exceeded(), model.oldest(), model.cost(), model.over_quota()));
  for (const Space space : {Space::keys, Space::locks, Space::elections})
    for (auto at = store.keyspace().tree(static_cast<kv::Space>(space)).first(); !at.at_end();
         at.next_live()) {
      const kv::Version& version = *at.slot().newest;
      if (version.is_tombstone()) continue;  // the first one may be
      if (seen_of(&version) != model.at(space, version.key(), model.revision()))
        fail(fmt::format("L20: server {} has a different '{}' than the model", h.number(),
                         version.key()));
    }
  compare_holdings(h);
  const kv::LogTime now(history_.stamp());
  history_.for_newest_kept(kTokensCompared, [&](const std::string& token, std::uint64_t revision) {
    const kv::KeptResult* reply = store.idempotency_table().find(token, now);
    if (reply == nullptr || kv::decode_result(reply->result.view())->revision != revision)
      fail(fmt::format("K1: server {} has not kept the result of '{}'", h.number(), token));
  });
}

// Leases, holders, queues and sessions, and when the first of them ends.
void World::compare_holdings(const Host& h) {
  const kv::Store& store = h.node->store();
  const Holdings here = holdings_of(store);
  const Holdings& right = history_.model().holdings();
  const auto differs = [&](std::string_view what, std::size_t has, std::size_t expected) {
    fail(fmt::format("L20: server {} has other {} than the model: {}, right is {}", h.number(),
                     what, has, expected));
  };
  if (here.leases != right.leases) differs("leases", here.leases.size(), right.leases.size());
  if (here.holders != right.holders) differs("holders", here.holders.size(), right.holders.size());
  if (here.waiters != right.waiters) differs("waiters", here.waiters.size(), right.waiters.size());
  if (here.sessions != right.sessions)
    differs("sessions", here.sessions.size(), right.sessions.size());
  if (here.badges != right.badges || here.needs_tokens != right.needs_tokens)
    differs("tokens", here.badges.size(), right.badges.size());
  if (store.next_expiry().value != history_.model().next_end())
    fail(fmt::format("T2: server {}: the first end is at {} ns, right is {}", h.number(),
                     store.next_expiry().value, history_.model().next_end()));
}

void World::count(Host& h) {
  const node::Counters& now = h.node->counters();
  node::Counters& before = h.counted;
  if (now.snapshots_installed != before.snapshots_installed) {
    // Crash between the installation of a snapshot and the Write that cuts the log.
    if (faulty_ && plan_.has(FaultKind::crash) && chance(faults_, 15))
      after(between(faults_, {}, plan_.disk_max), Kill{h.number(), h.boot, draw_crash(50)});
    // Sometimes the received file cannot be read afterwards.
    if (faulty_ && plan_.has(FaultKind::ioerror) && chance(faults_, 10)) {
      h.failing = true;
      h.disk.fail(test::MemFs::Call::read, static_cast<std::uint64_t>(faults_.between(0, 8)), EIO);
    }
  }
  tally_.count(Count::snapshots_taken, now.snapshots_taken - before.snapshots_taken);
  tally_.count(Count::snapshots_installed, now.snapshots_installed - before.snapshots_installed);
  tally_.count(Count::snapshots_failed, now.snapshots_failed - before.snapshots_failed);
  tally_.count(Count::snapshot_chunks_sent, now.snapshot_chunks_sent - before.snapshot_chunks_sent);
  tally_.count(Count::transfers_resumed, now.transfers_resumed - before.transfers_resumed);
  const auto reads = [&](node::ReadLevel level) {
    const auto i = static_cast<std::size_t>(level);
    return now.reads[i] - before.reads[i];
  };
  tally_.count(Count::reads, reads(node::ReadLevel::linearizable));
  tally_.count(Count::reads_by_leader_lease, reads(node::ReadLevel::lease));
  tally_.count(Count::reads_stale, reads(node::ReadLevel::stale));
  tally_.count(Count::writes_proposed_again, now.writes_retried - before.writes_retried);
  if (h.node->raft().is_leader() && now.leader_changes != before.leader_changes)
    tally_.count(Count::leaders);
  before = now;
}

}  // namespace vesper::sim
