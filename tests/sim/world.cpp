#include "sim/world.hpp"

#include <fmt/core.h>

#include <cstdio>

#include "kv/command.hpp"
#include "node/codec.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kKeys = 8;
constexpr Duration kClientTimeout = milliseconds(1500);
constexpr Duration kSettle = seconds(10);  // within this after the last fault all must agree

storage::WalOptions small_wal() {
  storage::WalOptions options;
  options.segment_bytes = 64u << 10;
  options.first_segment_bytes = 16u << 10;
  options.slice_bytes = 16u << 10;
  return options;
}

}  // namespace

void Server::send(raft::ServerId to, const node::PeerMessage& message, bool) {
  world->transmit(*this, to, message);
}

void Server::reply(const node::Ticket& ticket, node::Reply reply) {
  world->on_reply(id.value, ticket, std::move(reply));
}

World::World(Options options) : options_(options), random_(options.seed) {
  static constexpr std::size_t kSizes[] = {1, 3, 3, 3, 5, 5, 7};
  const std::size_t size = kSizes[random_.between(0, 6)];
  delay_max_ = microseconds(random_.between(200, 5'000));
  disk_max_ = microseconds(random_.between(200, 10'000));
  limits_.snapshot_entries = static_cast<std::uint64_t>(random_.between(3, 120));
  limits_.snapshot_bytes = static_cast<std::uint64_t>(random_.between(500, 20'000));
  limits_.snapshot_chunk_bytes = static_cast<std::uint32_t>(random_.between(20, 300));
  log_tail_ = static_cast<std::size_t>(random_.between(0, 20));
  cut_.assign(size, std::vector<bool>(size, false));
  for (std::size_t i = 0; i < size; ++i) {
    servers_.push_back(std::make_unique<Server>());
    servers_[i]->world = this;
    servers_[i]->id = raft::ServerId(static_cast<std::uint32_t>(i));
    servers_[i]->disk = test::MemFs(random_.next());
  }
  clients_.resize(static_cast<std::size_t>(random_.between(1, 6)));
  tally_.count("worlds");
}

void World::at(Instant when, Action action) {
  queue_.push({when, order_++, std::move(action)});
}

void World::trace(const std::string& line) const {
  if (options_.trace)
    std::printf("%12.3f ms  %s\n", static_cast<double>(now_.ns) / 1e6, line.c_str());
}

void World::fail(std::string what) {
  if (!failure_) failure_ = std::move(what);
}

// ---- servers ------------------------------------------------------------------------------

void World::start(std::size_t i) {
  Server& server = *servers_[i];
  VESPER_ASSERT(server.boot == 0);
  server.boot = ++boots_;
  auto recovered =
      node::recover(server.disk, server.id, raft::Incarnation(random_.next() | 1), small_wal());
  if (!recovered)
    return fail(fmt::format("server {} does not start: {}", i, recovered.error().what));
  server.recovery = std::move(recovered.value());
  for (const std::string& note : server.recovery.notes)
    trace(fmt::format("server {} found: {}", i, note));
  raft::Config config;
  config.self = server.id;
  config.incarnation = server.recovery.incarnation;
  config.log_tail_entries = log_tail_;
  config.seed = random_.next();
  for (std::size_t v = 0; v < servers_.size(); ++v)
    config.initial_voters.push_back(
        {raft::ServerId(static_cast<std::uint32_t>(v)), fmt::format("http://s{}", v), {}});
  if (server.recovery.durable.replaces_log) tally_.count("logs replaced at a start");
  if (!server.recovery.durable.snapshot.is_none()) tally_.count("starts from a snapshot");
  server.checked = raft::Index(0);
  server.counted = {};
  server.node = std::make_unique<node::Node>(config, raft::BootId(server.boot), limits_,
                                             server.recovery, server, server, now_);
  if (auto done = server.node->replay(); !done) fail(done.error().what);
  trace(fmt::format("server {} starts: last {} commit {}", i,
                    server.node->raft().log().last_index().value,
                    server.node->raft().commit_index().value));
  schedule_turn(server);
  for (std::size_t j = 0; j < servers_.size(); ++j) {
    if (j == i) continue;
    after(between({}, milliseconds(5)), Connect{i, j});
    after(between({}, milliseconds(5)), Connect{j, i});
  }
}

void World::crash(std::size_t i, bool power_loss) {
  Server& server = *servers_[i];
  if (server.boot == 0) return;
  trace(fmt::format("server {} crashes{}", i, power_loss ? " and loses power" : ""));
  server.node.reset();
  server.recovery = {};
  server.boot = 0;
  server.paused = false;
  server.while_paused.clear();
  server.turn_scheduled = server.disk_scheduled = false;
  server.wake_at = kNever;
  server.disk.set_capacity(UINT64_MAX);  // somebody has made room
  if (power_loss) server.disk.lose_power(test::MemFs::Loss::random);
  else server.disk.kill();
  for (Client& client : clients_) {
    if (client.server != i) continue;
    for (const auto& [request, o] : client.open) {
      Operation& operation = checker_.operation(o);
      operation.end = operation.kind == Operation::Kind::get ? Operation::End::refused
                                                             : Operation::End::unknown;
    }
    client.open.clear();
    client.connection = 0;
  }
  for (std::size_t j = 0; j < servers_.size(); ++j)
    if (j != i && servers_[j]->boot != 0 && linked(i, j) && linked(j, i))
      after(between(microseconds(100), milliseconds(3)), Gone{i, j, servers_[j]->boot});
}

void World::crash_at_disk(Server& server) {
  tally_.count("crashes in a disk job");
  const std::size_t i = server.id.value;
  server.disk.cut_power_at(server.disk.steps() + static_cast<std::uint64_t>(random_.between(0, 4)));
  server.disk.run_one();
  crash(i, true);
  after(between({}, seconds(1)), Restart{i});
}

void World::schedule_turn(Server& server) {
  if (server.turn_scheduled || server.paused) return;
  server.turn_scheduled = true;
  after(between({}, microseconds(50)), Turn{server.id.value, server.boot});
}

void World::post(std::size_t i, node::Post post) {
  Server& server = *servers_[i];
  if (server.boot == 0) return;
  if (server.paused) {
    server.while_paused.push_back(std::move(post));
    return;
  }
  server.node->post(std::move(post));
  schedule_turn(server);
}

void World::turn(std::size_t i) {
  Server& server = *servers_[i];
  if (server.wake_at <= now_) {
    server.node->post(node::DeadlinePassed{});
    server.wake_at = kNever;
  }
  auto deadline = server.node->turn(now_);
  if (!deadline) return fail(fmt::format("server {} ends: {}", i, deadline.error().what));
  for (const std::string& note : server.node->take_notes())
    trace(fmt::format("server {}: {}", i, note));
  count_snapshots(server);
  const raft::Raft& raft = server.node->raft();
  if (raft.is_leader())
    if (auto wrong = checker_.leads(server.id, raft.current_term())) fail(*wrong);
  // What a snapshot brought was compared where it was committed.
  server.checked = std::max(server.checked, raft.log().base_index());
  while (server.checked < raft.commit_index()) {
    server.checked = server.checked.next();
    if (auto wrong = checker_.committed(server.id, raft.log().at(server.checked))) fail(*wrong);
  }
  if (auto wrong = checker_.applied(server.id, raft.commit_index(), server.node->store().digest()))
    fail(*wrong);
  if (*deadline < server.wake_at) {
    server.wake_at = *deadline;
    at(std::max(*deadline, now_ + microseconds(10)), Wake{i, server.boot});
  }
  if (server.disk.jobs() > 0 && !server.disk_scheduled) {
    server.disk_scheduled = true;
    const Duration stall = chance(1) && faulty_ ? between({}, milliseconds(300)) : Duration{};
    after(between(microseconds(50), disk_max_) + stall, Disk{i, server.boot});
  }
}

void World::count_snapshots(Server& server) {
  const node::Counters& now = server.node->counters();
  tally_.count("snapshots taken", now.snapshots_taken - server.counted.snapshots_taken);
  tally_.count("snapshots installed", now.snapshots_installed - server.counted.snapshots_installed);
  tally_.count("snapshots failed", now.snapshots_failed - server.counted.snapshots_failed);
  tally_.count("snapshot chunks sent",
               now.snapshot_chunks_sent - server.counted.snapshot_chunks_sent);
  tally_.count("transfers resumed", now.transfers_resumed - server.counted.transfers_resumed);
  // Between an installed snapshot and the Write that cuts the log.
  if (now.snapshots_installed > server.counted.snapshots_installed && faulty_ && chance(15))
    after(between({}, disk_max_), CrashNow{server.id.value, server.boot});
  server.counted = now;
}

// ---- network ------------------------------------------------------------------------------

void World::transmit(Server& from, raft::ServerId to, const node::PeerMessage& message) {
  VESPER_ASSERT(to.value < servers_.size());
  VESPER_ASSERT(to != from.id);
  Server& target = *servers_[to.value];
  tally_.count("messages");
  if (target.boot == 0 || !linked(from.id.value, to.value)) return;
  if (chance(loss_percent_)) return tally_.count("lost");
  Deliver deliver{
      from.id.value, to.value, from.boot, target.boot, from.node->raft().config().incarnation, {}};
  node::encode(message, deliver.bytes);
  const bool twice = chance(duplicate_percent_);
  if (twice) {
    tally_.count("duplicated");
    after(between(microseconds(50), delay_max_ * 10), deliver);
  }
  after(between(microseconds(50), delay_max_), std::move(deliver));
}

// ---- clients ------------------------------------------------------------------------------

void World::client_step(std::size_t c) {
  Client& client = clients_[c];
  if (!faulty_) return;
  after(between(milliseconds(5), milliseconds(400)), ClientStep{c});
  if (client.connection == 0 || (chance(5) && client.open.empty())) {
    if (client.connection != 0) post(client.server, node::ClientGone{client.connection});
    client.server = static_cast<std::size_t>(
        random_.between(0, static_cast<std::int64_t>(servers_.size()) - 1));
    if (servers_[client.server]->boot == 0) {
      client.connection = 0;
      return;
    }
    client.connection = ++connections_;
  }
  // Now and then several requests at once, as a pipelining client sends them.
  const std::int64_t burst = chance(20) ? random_.between(2, 8) : 1;
  for (std::int64_t n = 0; n < burst; ++n) {
    Operation operation;
    operation.key = fmt::format("k{}", random_.between(0, kKeys - 1));
    operation.kind = static_cast<Operation::Kind>(random_.between(0, 3));
    operation.invoked = now_;
    const node::Ticket ticket{client.connection, client.next_request++};
    operation.connection = ticket.connection;
    operation.request = ticket.request;
    tally_.count("operations");
    if (operation.kind == Operation::Kind::get) {
      client.open[ticket.request] = checker_.begin(operation);
      post(client.server, node::ClientRead{ticket, operation.key, now_ + kClientTimeout});
      continue;
    }
    kv::Conditions conditions;
    // A revision that never exists makes each command's bytes its own.
    conditions.if_none_match = kv::Match{false, {(std::uint64_t{1} << 50) + ++values_}};
    operation.value = fmt::format("v{}", values_);
    if (operation.kind == Operation::Kind::remove) {
      operation.value.clear();
      operation.command = kv::encode_remove(operation.key, conditions);
    } else {
      if (operation.kind == Operation::Kind::create) {
        conditions.if_none_match = kv::Match{true, {}};
      }
      operation.command = kv::encode_put(operation.key, operation.value, false, conditions);
    }
    client.open[ticket.request] = checker_.begin(operation);
    post(client.server,
         node::ClientWrite{ticket, SharedBytes::copy_of(operation.command), now_ + kClientTimeout});
  }
}

void World::on_reply(std::size_t server, const node::Ticket& ticket, node::Reply reply) {
  for (Client& client : clients_) {
    if (client.connection != ticket.connection || client.server != server) continue;
    const auto it = client.open.find(ticket.request);
    if (it == client.open.end()) return fail("a request was answered twice");
    Operation& operation = checker_.operation(it->second);
    client.open.erase(it);
    operation.answered = now_;
    if (const auto* refusal = std::get_if<node::Refusal>(&reply)) {
      const bool unknown = *refusal == node::Refusal::outcome_unknown;
      operation.end = unknown ? Operation::End::unknown : Operation::End::refused;
      tally_.count(unknown ? "unknown outcomes" : "refused");
      return;
    }
    operation.end = Operation::End::ok;
    tally_.count("answered");
    if (auto* read = std::get_if<node::ReadResult>(&reply)) operation.read = std::move(*read);
    else operation.written = std::get<kv::WriteResult>(reply);
    return;
  }
}

// ---- faults -------------------------------------------------------------------------------

void World::inject() {
  if (!faulty_) return;
  after(between(milliseconds(300), seconds(4)), Fault{});
  const auto pick = [&] {
    return static_cast<std::size_t>(
        random_.between(0, static_cast<std::int64_t>(servers_.size()) - 1));
  };
  switch (random_.between(0, 8)) {
    case 0:
    case 1: {
      const std::size_t i = pick();
      if (servers_[i]->boot == 0) return;
      const bool power = chance(50);
      tally_.count(power ? "power losses" : "crashes");
      crash(i, power);
      return after(between({}, seconds(3)), Restart{i});
    }
    case 2: {
      tally_.count("all crash");
      for (std::size_t i = 0; i < servers_.size(); ++i) {
        if (servers_[i]->boot == 0) continue;
        crash(i, chance(50));
        after(between({}, seconds(1)), Restart{i});
      }
      return;
    }
    case 3: {
      const std::size_t i = pick();
      if (servers_[i]->boot == 0 || servers_[i]->paused) return;
      tally_.count("pauses");
      trace(fmt::format("server {} pauses", i));
      servers_[i]->paused = true;
      return after(between(milliseconds(10), seconds(2)), Resume{i});
    }
    case 4: {
      tally_.count("partitions");
      trace("partition");
      std::vector<bool> side(servers_.size());
      for (std::size_t i = 0; i < side.size(); ++i) side[i] = chance(50);
      for (std::size_t a = 0; a < side.size(); ++a)
        for (std::size_t b = 0; b < side.size(); ++b) cut_[a][b] = side[a] != side[b];
      return after(between(milliseconds(50), seconds(4)), Heal{});
    }
    case 5: {
      tally_.count("one-way cuts");
      const std::size_t a = pick(), b = pick();
      if (a != b) cut_[a][b] = true;
      trace(fmt::format("cut {} -> {}", a, b));
      return after(between(milliseconds(50), seconds(4)), Heal{});
    }
    case 6:
      tally_.count("lossy spells");
      loss_percent_ = random_.between(1, 50);
      duplicate_percent_ = random_.between(0, 30);
      return after(between(milliseconds(50), seconds(3)), Heal{});
    case 7: {
      Server& server = *servers_[pick()];
      tally_.count("full disks");
      trace(fmt::format("server {} has a full disk", server.id.value));
      server.disk.set_capacity(server.disk.used() +
                               static_cast<std::uint64_t>(random_.between(0, 5'000)));
      return after(between(milliseconds(50), seconds(3)), Heal{});
    }
    default:
      tally_.count("slow spells");
      delay_max_ = milliseconds(random_.between(1, 200));
      return after(between(milliseconds(50), seconds(3)), Heal{});
  }
}

// ---- the run ------------------------------------------------------------------------------

struct World::Dispatch {
  World& w;

  void operator()(Deliver& a) {
    if (w.servers_[a.to]->boot != a.to_boot || w.cut_[a.from][a.to]) return;
    auto message = node::decode(a.bytes);
    if (!message) return w.fail(fmt::format("codec: {}", message.error().what));
    w.post(a.to, node::FromPeer{raft::ServerId(static_cast<std::uint32_t>(a.from)), a.incarnation,
                                std::move(message.value())});
  }
  void operator()(Turn& a) {
    Server& server = *w.servers_[a.server];
    if (server.boot != a.boot) return;
    server.turn_scheduled = false;
    if (!server.paused) w.turn(a.server);
  }
  void operator()(Disk& a) {
    Server& server = *w.servers_[a.server];
    if (server.boot != a.boot) return;
    server.disk_scheduled = false;
    // The instants that a crash finds by itself too rarely: around a snapshot's jobs, and between
    // the calls of one.
    const bool snapshot = server.disk.next_job().id.value >> 63 != 0;
    if (w.faulty_ && w.random_.between(1, snapshot ? 300 : 3000) == 1)
      return w.crash_at_disk(server);
    if (auto done = server.disk.run_one()) {
      w.tally_.count("disk jobs");
      w.post(a.server, node::DiskDone{std::move(*done)});
    }
  }
  void operator()(Wake& a) {
    Server& server = *w.servers_[a.server];
    if (server.boot == a.boot && server.wake_at <= w.now_) w.schedule_turn(server);
  }
  void operator()(Connect& a) {
    Server& from = *w.servers_[a.from];
    Server& to = *w.servers_[a.to];
    if (from.boot == 0 || to.boot == 0) return;
    if (!w.linked(a.from, a.to) || !w.linked(a.to, a.from))
      return w.after(milliseconds(50), Connect{a});
    const auto incarnation = from.node->raft().config().incarnation;
    const Id128 cluster = from.node->status(w.now_).cluster_id;
    if (auto why = to.node->refuse_peer(from.id, incarnation, cluster))
      return w.fail(fmt::format("server {} refuses {}: {}", a.to, a.from, *why));
    w.post(a.to, node::PeerUp{from.id, incarnation, !cluster.is_none()});
  }
  void operator()(Gone& a) {
    if (w.servers_[a.to]->boot == a.to_boot && w.servers_[a.who]->boot == 0)
      w.post(a.to, node::PeerGone{raft::ServerId(static_cast<std::uint32_t>(a.who))});
  }
  void operator()(ClientStep& a) { w.client_step(a.client); }
  void operator()(Fault&) { w.inject(); }
  void operator()(Restart& a) {
    if (w.servers_[a.server]->boot == 0) w.start(a.server);
  }
  void operator()(Resume& a) {
    Server& server = *w.servers_[a.server];
    if (!server.paused) return;
    server.paused = false;
    w.trace(fmt::format("server {} goes on", a.server));
    for (node::Post& post : std::exchange(server.while_paused, {}))
      server.node->post(std::move(post));
    w.schedule_turn(server);
  }
  void operator()(CrashNow& a) {
    if (w.servers_[a.server]->boot != a.boot) return;
    w.tally_.count("crashes after an install");
    w.crash(a.server, w.chance(50));
    w.after(w.between({}, seconds(1)), Restart{a.server});
  }
  void operator()(Heal&) {
    w.trace("heal");
    for (auto& row : w.cut_) row.assign(row.size(), false);
    w.loss_percent_ = w.duplicate_percent_ = 0;
    w.delay_max_ = milliseconds(1);
    for (auto& server : w.servers_) server->disk.set_capacity(UINT64_MAX);
  }
};

bool World::settled() const {
  std::optional<raft::ServerId> leader;
  std::optional<Id128> digest;
  for (const auto& server : servers_) {
    if (server->boot == 0 || server->paused) return false;
    const node::Status status = server->node->status(now_);
    if (!status.leader || (leader && *leader != *status.leader)) return false;
    leader = status.leader;
    if (digest && *digest != status.digest) return false;
    digest = status.digest;
    if (status.applied_index != status.last_index) return false;
  }
  for (const Client& client : clients_)
    if (!client.open.empty()) return false;
  return true;
}

std::optional<std::string> World::run() {
  for (std::size_t i = 0; i < servers_.size(); ++i)
    after(between({}, milliseconds(200)), Restart{i});
  for (std::size_t c = 0; c < clients_.size(); ++c)
    after(between({}, milliseconds(300)), ClientStep{c});
  after(seconds(1), Fault{});
  const Instant quiet = now_ + options_.faults;
  const Instant end = quiet + kSettle;
  while (!queue_.empty() && !failure_) {
    Scheduled next = queue_.top();
    queue_.pop();
    if (faulty_ && next.at >= quiet) {
      trace("quiet from now on");
      faulty_ = false;
      now_ = quiet;
      Dispatch{*this}(*std::make_unique<Heal>());
      for (std::size_t i = 0; i < servers_.size(); ++i) {
        Resume resume{i};
        Dispatch{*this}(resume);
        Restart restart{i};
        Dispatch{*this}(restart);
      }
    }
    if (!faulty_ && settled()) break;
    if (next.at > end) fail("liveness: not settled 10 s after the last fault");
    now_ = std::max(now_, next.at);
    tally_.count("events");
    std::visit(Dispatch{*this}, next.action);
  }
  if (!failure_) failure_ = checker_.judge();
  return failure_;
}

}  // namespace vesper::sim
