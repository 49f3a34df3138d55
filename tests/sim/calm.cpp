// What has to succeed at the end of a world, after the faults have stopped, in addition to the
// checks of poll().
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {

// K11: a leadership transfer succeeds during lease reads, if clocks meet the assumptions of leases.
void World::want_hand_over() {
  std::vector<std::size_t> healthy;
  for (const auto& h : hosts_)
    if (!h->outside && is_awaited(*h) && !h->gone_for_good) healthy.push_back(h->number());
  if (!plan_.leader_leases || healthy.size() < 2 || !can_hand_over()) return;
  moved_ = false;
  clients_.emplace_back();
  Client& client = clients_.back();
  client.random = Prng(options_.seed * 64 + 48);
  client.host = healthy.front();
  client.mover = true;
  after(between(client.random, {}, milliseconds(100)), ClientStep{clients_.size() - 1});
}

void World::move_step(Client& client) {
  if (!takes_part(host(client.host))) move_elsewhere(client);
  if (client.connection == 0 && !connect(client)) return;
  Operation read;
  read.key = "probe";
  read.level = Operation::Level::lease;
  ask(client, std::move(read));
  if (client.transfers.empty()) ask_transfer(client);
}

// A server that waits for a snapshot cannot tell whether the next leader is elected. Asking there
// again would discard that snapshot, because each leader sends its own. So ask another server.
void World::move_elsewhere(Client& client) {
  hang_up(client);
  do client.host = (client.host + 1) % hosts_.size();
  while (host(client.host).outside || !takes_part(host(client.host)) ||
         host(client.host).gone_for_good);
}

// Makes one server slow while clients keep writing: it has to catch up.
void World::load_slow_follower() {
  std::vector<std::size_t> healthy;
  for (const auto& h : hosts_)
    if (!h->outside && is_awaited(*h) && !h->gone_for_good) healthy.push_back(h->number());
  if ((plan_.slow_disk.ns == 0 && plan_.slow_link == 0) || healthy.size() < 2 || doomed_) return;
  Prng random(options_.seed * 64 + 49);
  slow_host_ = healthy[static_cast<std::size_t>(
      random.between(0, static_cast<std::int64_t>(healthy.size()) - 1))];
  host(slow_host_).slow_disk = plan_.slow_disk;
  for (const std::size_t i : healthy)
    if (i != slow_host_) link(i, slow_host_).rate = plan_.slow_link;
  trace("server {} is slow in the calm", slow_host_);
  loaded_until_ = now_ + between(random, milliseconds(500), milliseconds(1'500));
  for (const std::size_t i : healthy) {
    clients_.emplace_back();
    Client& client = clients_.back();
    client.random = Prng(random.next());
    client.host = i;
    client.loader = true;
    after(between(random, {}, milliseconds(20)), ClientStep{clients_.size() - 1});
  }
}

void World::load_step(std::size_t c) {
  Client& client = clients_[c];
  if (now_ >= loaded_until_) {
    if (client.host != slow_host_) return;
    const Host& slow = host(slow_host_);
    if (!slow.serves() || slow.node->raft().is_leader()) return;
    tally_.count(Count::slow_followers);
    if (slow.node->raft().commit_index().value < safety_.committed().size())
      tally_.count(Count::slow_followers_behind);
    return;
  }
  after(between(client.random, milliseconds(5), milliseconds(40)), ClientStep{c});
  if (client.connection == 0 && !connect(client)) return;
  Operation write;
  write.kind = Operation::Kind::put;
  write.key = fmt::format("k{}", client.random.between(0, 7));
  write.value = fmt::format("v{}", ++values_);
  write.value.resize(static_cast<std::size_t>(client.random.between(20, 1'000)), '.');
  ask(client, std::move(write));
}

}  // namespace vesper::sim
