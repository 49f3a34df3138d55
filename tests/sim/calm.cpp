// What has to succeed at the end of a world, when nothing goes wrong any more, beside what poll()
// looks at.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {

// K11: a hand-over succeeds while reads by lease go on, where clocks keep to what leases assume.
void World::want_hand_over() {
  std::vector<std::size_t> healthy;
  for (const auto& h : hosts_)
    if (!h->outside && !h->wiped && !h->gone_for_good) healthy.push_back(h->number());
  if (!plan_.leases || healthy.size() < 2) return;
  moved_ = false;
  clients_.emplace_back();
  Client& client = clients_.back();
  client.random = Prng(options_.seed * 64 + 48);
  client.host = healthy.front();
  client.mover = true;
  after(between(client.random, {}, milliseconds(100)), ClientStep{clients_.size() - 1});
}

void World::move_step(Client& client) {
  if (client.connection == 0 && !connect(client)) return;
  Operation read;
  read.key = "probe";
  read.level = Operation::Level::lease;
  ask(client, std::move(read));
  if (client.transfers.empty()) ask_transfer(client);
}

}  // namespace vesper::sim
