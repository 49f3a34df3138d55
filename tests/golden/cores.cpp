#include "golden/cores.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "golden/describe.hpp"
#include "raft/entry.hpp"

namespace vesper::golden {

using raft::ServerId;

raft::Entry test_entry(raft::Index index, raft::Term term) {
  const std::string payload = fmt::format("i{}t{}", index.value, term.value);
  return raft::make_entry(index, term, raft::EntryType::command, {}, {}, payload);
}

Cores::Cores(const Options& options) : options_(options) {
  VESPER_ASSERT(options_.servers > 0);
  options_.tuning.initial_voters.clear();
  for (std::uint32_t i = 0; i < options_.servers; ++i)
    options_.tuning.initial_voters.push_back(
        {ServerId(i), fmt::format("http://127.0.0.1:{}", 5000 + i), {}});
  for (std::uint32_t i = 0; i < options_.servers + options_.spares; ++i) {
    Server& server = servers_.emplace_back();
    server.id = ServerId(i);
    server.incarnation = raft::Incarnation(++next_incarnation_);
  }
  const Disk disk = founded_disk();
  for (Server& server : servers_)
    if (server.id.value < options_.servers) server.disk = disk;
  safety_.assume_committed(disk.entries);
  for (Server& server : servers_) {
    if (server.id.value >= options_.servers) continue;  // a spare is started by hand
    if (options_.founded) start_long_ago(server.id);
    else start(server.id);
  }
  if (!options_.connected) return;
  for (Server& server : servers_) connect_all(server.id);
}

Disk Cores::founded_disk() const {
  Disk disk;
  if (!options_.founded) return disk;
  raft::Configuration configuration{{1, 1}, options_.tuning.initial_voters};
  for (raft::Member& voter : configuration.members)
    voter.incarnation = raft::Incarnation(voter.id.value + 1);
  disk.entries.push_back(raft::make_entry(raft::Index(1), raft::Term(1), raft::EntryType::bootstrap,
                                          {}, {}, raft::encode_configuration(configuration)));
  disk.hard_state.current_term = raft::Term(1);
  disk.commit_index = raft::Index(1);
  return disk;
}

void Cores::write_down(Trace level, const std::string& line) {
  if (trace >= level) text += line + "\n";
}

// ---- turns --------------------------------------------------------------------------------

void Cores::turn(ServerId id, std::vector<raft::Event> events) {
  Server& server = at(id);
  if (!server.alive()) return;
  for (raft::Event& event : events) server.raft->step(now_, std::move(event), server.output);
  server.raft->step(now_, raft::EndOfTurn{}, server.output);
  execute(server);
  std::vector<Subject> subjects;
  for (const Server& s : servers_) subjects.push_back({s.id, s.incarnation, s.raft.get(), &s.disk});
  safety_.turned(subjects, id.value, now_);
  if (automatic_sync_) sync(id);
  if (!server.done.empty()) turn(id, std::exchange(server.done, {}));
}

void Cores::execute(Server& server) {
  raft::Output output;
  std::swap(output, server.output);
  server.output.deadline = output.deadline;
  const std::uint32_t id = server.id.value;
  for (const std::string& note : output.notes)
    write_down(Trace::brief, fmt::format("{}: {}", id, note));
  for (const std::string& alarm : output.alarms)
    write_down(Trace::brief, fmt::format("{}: ALARM {}", id, alarm));
  for (const raft::Envelope& envelope : output.send_now) post(server, envelope);
  if (output.write) {
    write_down(Trace::all, fmt::format("{} writes #{}: {}", id, output.write->number.value,
                                       describe(*output.write)));
    server.unsynced.push_back(std::move(*output.write));
  }
  for (raft::HeldEnvelope& gated : output.send_after) {
    if (!automatic_sync_)
      write_down(Trace::all,
                 fmt::format("{} holds until #{} -> {}: {}", id,
                             std::max(gated.after, gated.after_hard_state).value,
                             gated.envelope.to.value, describe(gated.envelope.message)));
    server.gated.push_back(std::move(gated));
  }
  for (const raft::MembersAnswer& answer : output.members)
    write_down(Trace::brief, fmt::format("{} answers: {}", id, describe(answer)));
  use_snapshots(server, output);
  if (output.committed_last.value > 0)
    write_down(Trace::brief, fmt::format("{} commits {}..{}", id, output.committed_first.value,
                                         output.committed_last.value));
  for (raft::Index i = output.committed_first; i.value > 0 && i <= output.committed_last;
       i = i.next()) {
    const raft::Entry& entry = server.raft->log().at(i);
    if (entry.type == raft::EntryType::command) server.applied.emplace_back(entry.payload().view());
  }
  for (const raft::ReadReady& read : output.reads) {
    write_down(Trace::brief,
               fmt::format("{} may answer read {} once it has applied {}{}", id, read.id,
                           read.index.value, read.leader_lease ? ", by the lease" : ""));
    server.reads.push_back(read);
  }
}

// The snapshot files are instantaneous: the next turn learns that each chunk was read or stored.
void Cores::use_snapshots(Server& server, const raft::Output& output) {
  for (const raft::ReadChunk& read : output.read_chunks)
    server.done.push_back(raft::ChunkRead{read.to, read.last_index, read.chunk,
                                          SharedBytes::copy_of(fmt::format("{}", read.chunk))});
  if (output.install) {
    write_down(Trace::brief, fmt::format("{} installs the snapshot at {}", server.id.value,
                                         output.install->last_index.value));
    server.applied = contents_.at(output.install->last_index);
  }
  for (const raft::StoreChunk& store : output.store_chunks) {
    const raft::Snapshot& snapshot = store.snapshot;
    write_down(Trace::all,
               fmt::format("{} stores chunk {} of {} of the snapshot at {}", server.id.value,
                           store.chunk + 1, snapshot.chunks(), snapshot.last_index.value));
    server.done.push_back(
        raft::ChunkStored{snapshot.last_index, snapshot.checksum, store.chunk + 1});
    if (store.chunk + 1 < snapshot.chunks()) continue;
    server.disk.snapshots.push_back(snapshot);
    server.done.push_back(raft::SnapshotStored{snapshot});
  }
}

void Cores::snapshot(ServerId id, std::uint64_t chunks) {
  Server& server = at(id);
  const raft::Raft& raft = *server.raft;
  raft::Snapshot snapshot;
  snapshot.last_index = std::min(raft.commit_index(), raft.writes().durable_index());
  snapshot.last_term = raft.log().term_at(snapshot.last_index).value();
  snapshot.configuration = raft.configuration();
  snapshot.chunk_bytes = 10;
  snapshot.content_bytes = chunks * 10 - 5;
  snapshot.checksum = snapshot.last_index.value;
  VESPER_ASSERT(snapshot.last_index == raft.commit_index());  // as in server.applied
  contents_[snapshot.last_index] = server.applied;
  server.disk.snapshots.push_back(snapshot);
  turn(id, {raft::SnapshotStored{snapshot}});
}

void Cores::sync(ServerId id, std::size_t limit) {
  Server& server = at(id);
  if (!server.alive() || server.unsynced.empty()) return;
  for (; limit > 0 && !server.unsynced.empty(); --limit) {
    server.disk.carry_out(std::move(server.unsynced.front()));
    server.unsynced.pop_front();
  }
  const raft::WriteNumber number = server.disk.last_write;
  if (!automatic_sync_)
    write_down(Trace::all, fmt::format("{} synced #{}", id.value, number.value));
  while (!server.gated.empty() && server.gated.front().may_leave(number, number)) {
    const raft::HeldEnvelope gated = std::move(server.gated.front());
    server.gated.pop_front();
    post(server, gated.envelope);
  }
  turn(id, {raft::Persisted{number}});
}

// ---- messages -----------------------------------------------------------------------------

void Cores::post(Server& from, const raft::Envelope& envelope) {
  const Link link{from.id, envelope.to};
  safety_.sent({from.id, from.incarnation, from.raft.get(), &from.disk}, envelope.to,
               envelope.message);
  const bool lost = is_cut(link) || !at(envelope.to).alive();
  write_down(Trace::all, fmt::format("{} -> {}: {}{}", from.id.value, envelope.to.value,
                                     describe(envelope.message), lost ? "  (lost)" : ""));
  if (!lost) queues_[link].push_back({from.incarnation, envelope.message});
}

bool Cores::is_cut(Link link) const {
  const auto it = cut_.find(link);
  return it != cut_.end() && it->second;
}

bool Cores::is_held(Link link) const {
  const auto it = held_.find(link);
  return it != held_.end() && it->second;
}

std::size_t Cores::in_flight() const {
  std::size_t count = 0;
  for (const auto& [link, queue] : queues_)
    if (!is_held(link)) count += queue.size();
  return count;
}

void Cores::take(Link link, std::size_t limit, std::vector<raft::Event>& events) {
  Queue& queue = queues_[link];
  for (; limit > 0 && !queue.empty(); --limit, queue.pop_front())
    events.push_back(
        raft::Received{link.first, queue.front().incarnation, std::move(queue.front().message)});
}

std::size_t Cores::deliver(ServerId to) {
  std::vector<raft::Event> events;
  for (const Server& from : servers_)
    if (!is_held({from.id, to})) take({from.id, to}, SIZE_MAX, events);
  const std::size_t count = events.size();
  if (count > 0) turn(to, std::move(events));
  return count;
}

std::size_t Cores::deliver_link(Link link, std::size_t limit) {
  std::vector<raft::Event> events;
  take(link, limit, events);
  const std::size_t count = events.size();
  if (count > 0) turn(link.second, std::move(events));
  return count;
}

std::size_t Cores::deliver_round() {
  std::vector<std::vector<raft::Event>> inboxes(servers_.size());
  std::size_t count = 0;
  for (const Server& to : servers_) {
    for (const Server& from : servers_)
      if (!is_held({from.id, to.id})) take({from.id, to.id}, SIZE_MAX, inboxes[to.id.value]);
    count += inboxes[to.id.value].size();
  }
  for (Server& server : servers_)
    if (!inboxes[server.id.value].empty()) turn(server.id, std::move(inboxes[server.id.value]));
  return count;
}

void Cores::settle(int most_rounds) {
  for (; most_rounds > 0 && in_flight() > 0; --most_rounds) deliver_round();
}

void Cores::drop(Link link) {
  for (const InFlight& lost : queues_[link])
    write_down(Trace::all, fmt::format("{} -> {}: {}  (lost)", link.first.value, link.second.value,
                                       describe(lost.message)));
  queues_[link].clear();
}

void Cores::cut(Link link) {
  cut_[link] = true;
  drop(link);
}

void Cores::cut_into(const std::vector<std::vector<ServerId>>& sides) {
  const auto side_of = [&](ServerId id) {
    for (std::size_t i = 0; i < sides.size(); ++i)
      if (std::find(sides[i].begin(), sides[i].end(), id) != sides[i].end()) return i;
    return sides.size() + id.value;  // a server that is not named is alone
  };
  for (const Server& a : servers_)
    for (const Server& b : servers_)
      if (side_of(a.id) != side_of(b.id)) cut({a.id, b.id});
}

void Cores::heal() {
  cut_.clear();
}

// ---- processes ----------------------------------------------------------------------------

void Cores::crash(ServerId id, std::size_t keep_unsynced) {
  Server& server = at(id);
  for (; keep_unsynced > 0 && !server.unsynced.empty(); --keep_unsynced) {
    server.disk.carry_out(std::move(server.unsynced.front()));
    server.unsynced.pop_front();
  }
  server.unsynced.clear();
  server.gated.clear();
  server.raft.reset();
  server.reads.clear();
  server.done.clear();
  server.applied.clear();
  safety_.forget(id);
  for (const Server& other : servers_) drop({other.id, id});
}

void Cores::start(ServerId id) {
  Server& server = at(id);
  VESPER_ASSERT(!server.alive());
  raft::Config config = options_.tuning;
  config.self = id;
  if (id.value >= options_.servers) {
    config.self = raft::kNoServer;
    config.initial_voters.clear();
  }
  config.incarnation = server.incarnation;
  config.seed = options_.seed * 1'000'003 + (id.value + 1) * 1009 + ++server.boots;
  const Disk& disk = server.disk;
  raft::RecoveredState durable = recover(disk);
  const raft::Index from = durable.snapshot.last_index;
  if (from.value > 0) server.applied = contents_.at(from);
  server.raft = std::make_unique<raft::Raft>(std::move(config), std::move(durable), now_);
  for (raft::Index i = from.next(); i <= server.raft->commit_index(); i = i.next())
    if (const raft::Entry& entry = server.raft->log().at(i); entry.type == raft::EntryType::command)
      server.applied.emplace_back(entry.payload().view());
  turn(id, {});
}

// Like node/recovery: the newest snapshot, and the log if it leads on from there.
raft::RecoveredState Cores::recover(const Disk& disk) const {
  raft::RecoveredState durable{disk.hard_state, disk.commit_index, disk.entries, disk.last_write};
  durable.base = disk.base;
  if (disk.snapshots.empty()) return durable;
  durable.snapshot = disk.snapshots.back();
  const raft::Index last = durable.snapshot.last_index;
  Disk log = disk;
  log.snapshots.clear();
  durable.commit_index = std::max(durable.commit_index, last);
  if (last == disk.base.index || log.term_at(last) == durable.snapshot.last_term) return durable;
  durable.replaces_log = true;
  durable.entries.clear();
  durable.base = {last, durable.snapshot.last_term, durable.snapshot.configuration.cluster_id};
  durable.commit_index = last;
  if (durable.hard_state.current_term < durable.snapshot.last_term)
    durable.hard_state = {durable.snapshot.last_term, std::nullopt};
  return durable;
}

void Cores::start_long_ago(ServerId id) {
  const Instant now = std::exchange(now_, now_ - raft::kMaxLeaderLease * 11 / 10);
  start(id);
  now_ = now;
}

void Cores::wipe(ServerId id) {
  crash(id);
  at(id).disk = Disk{};
  at(id).incarnation = raft::Incarnation(++next_incarnation_);
}

void Cores::connect(ServerId a, ServerId b) {
  const auto up = [&](ServerId here, ServerId there) {
    if (!at(here).alive() || !at(there).alive() || is_cut({here, there})) return;
    turn(here, {raft::PeerUp{there, at(there).incarnation, at(there).raft->peer_state()}});
  };
  up(a, b);
  up(b, a);
}

void Cores::refused(ServerId a, ServerId by) {
  if (at(a).alive() && at(by).alive()) turn(a, {raft::PeerSaid{by, at(by).raft->peer_state()}});
}

void Cores::connect_all(ServerId id) {
  for (const Server& other : servers_)
    if (other.id != id) connect(id, other.id);
}

void Cores::peer_gone(ServerId gone) {
  for (Server& server : servers_)
    if (server.id != gone) turn(server.id, {raft::PeerGone{gone}});
}

// ---- time ---------------------------------------------------------------------------------

void Cores::fire(Server& server) {
  if (server.alive() && server.output.deadline <= now_) turn(server.id, {raft::DeadlinePassed{}});
}

void Cores::advance(Duration duration) {
  const Instant end = now_ + duration;
  while (true) {
    Instant next = kNever;
    for (const Server& server : servers_)
      if (server.alive()) next = std::min(next, server.output.deadline);
    if (next > end) break;
    now_ = std::max(now_, next);
    for (Server& server : servers_) fire(server);
  }
  now_ = end;
}

void Cores::run(Duration duration) {
  const Instant end = now_ + duration;
  while (now_ < end) {
    Instant next = now_ + milliseconds(1);
    if (in_flight() == 0) {
      next = end;
      for (const Server& server : servers_)
        if (server.alive()) next = std::min(next, server.output.deadline);
    }
    now_ = std::min(end, std::max(now_, next));
    deliver_round();
    for (Server& server : servers_) fire(server);
  }
}

void Cores::campaign(ServerId id) {
  Server& server = at(id);
  if (!server.alive()) return;
  now_ = std::max(now_, server.output.deadline);
  fire(server);
}

void Cores::elect(ServerId id) {
  const Trace trace_before = std::exchange(trace, Trace::off);
  const bool sync_before = std::exchange(automatic_sync_, true);
  // Let the election timeout pass: a voter that still hears a leader would refuse.
  now_ = now_ + options_.tuning.election_timeout;
  campaign(id);
  settle();
  automatic_sync_ = sync_before;
  trace = trace_before;
}

std::optional<ServerId> Cores::leader() const {
  std::optional<ServerId> found;
  for (const Server& server : servers_)
    if (server.alive() && server.raft->is_leader() &&
        (!found || server.raft->current_term() > at(*found).raft->current_term()))
      found = server.id;
  return found;
}

raft::Term Cores::current_term(ServerId id) const {
  return at(id).raft->current_term();
}

}  // namespace vesper::golden
