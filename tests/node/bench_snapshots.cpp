// Run by hand: what a snapshot of many keys costs. Prints the longest turn of the loop without one
// and while one is being taken, its size, and how long a restart takes. The disk is in memory: what
// is measured is the processor's part.
//
//   ninja -C build tests/node/bench_snapshots && build/tests/node/bench_snapshots [keys]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>

#include "kv/command.hpp"
#include "node/node.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;

namespace {

// The processor's time and not the wall's: what else runs on this machine is not our doing.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

struct Solo final : node::Transport, node::Clients {
  test::MemFs fs;
  Instant now{seconds(1).ns};
  std::uint64_t keys = 0;
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  std::uint64_t requests = 0;
  double longest = 0, replay_ms = 0;
  std::uint64_t turns = 0;

  void send(raft::ServerId, const node::PeerMessage&, raft::Channel) override {}
  void reply(const node::Ticket&, node::ClientReply) override {}

  void start() {
    node.reset();
    recovery = {};
    auto recovered = node::recover(fs, raft::ServerId(0), raft::Incarnation(7),
                                   storage::WalOptions{}, raft::Config{}.log_tail_entries);
    VESPER_ASSERT(recovered.ok());
    recovery = std::move(recovered.value());
    raft::Config config;
    config.self = raft::ServerId(0);
    config.incarnation = recovery.incarnation;
    config.initial_voters.push_back({raft::ServerId(0), "http://127.0.0.1:1", {}});
    node = std::make_unique<node::Node>(config, raft::BootId(1), node::NodeLimits{}, recovery,
                                        *this, *this, now);
    const double begin = cpu_ms();
    VESPER_ASSERT(node->replay().ok());
    replay_ms = cpu_ms() - begin;
  }
  void turn() {
    node->post(node::TimerFired{});
    const double begin = cpu_ms();
    const auto deadline = node->turn(now);
    longest = std::max(longest, cpu_ms() - begin);
    ++turns;
    VESPER_ASSERT(deadline.ok());
    if (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
    now = now + microseconds(100);
  }
  // A hundred writes in one turn, of key number `requests` and those that follow.
  void write_batch() {
    for (int i = 0; i < 100; ++i) {
      char key[32];
      std::snprintf(key, sizeof(key), "key-%012llu",
                    static_cast<unsigned long long>(requests++ * 7919 % keys));
      node->post(node::ClientWrite{{1, requests},
                                   SharedBytes::copy_of(kv::encode_put(
                                       key, std::string(100, 'v') + key, kv::ValueForm::bytes, {})),
                                   now + seconds(5)});
    }
    turn();
  }
};

}  // namespace

int main(int argc, char** argv) {
  Solo solo;
  solo.keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  solo.start();
  for (int i = 0; i < 5000; ++i) solo.turn();
  const auto taking = [&] { return solo.node->status(solo.now).taking_snapshot; };
  const auto taken = [&] { return solo.node->counters().snapshots_taken; };
  while (solo.requests < solo.keys || taking()) solo.write_batch();
  // From here on at the production's triggers, to the end of the next snapshot.
  solo.longest = 0;
  while (!taking()) solo.write_batch();
  std::printf("keys                                %zu\n", solo.node->store().size());
  std::printf("longest turn without a snapshot     %.2f ms\n", solo.longest);
  solo.longest = 0;
  solo.turns = 0;
  const std::uint64_t before = taken();
  const double begin = cpu_ms();
  while (taken() == before) solo.write_batch();
  std::printf("longest turn while one is taken     %.2f ms (%llu turns, %.0f ms in all)\n",
              solo.longest, static_cast<unsigned long long>(solo.turns), cpu_ms() - begin);
  solo.longest = 0;
  for (int i = 0; i < 5000; ++i) solo.turn();
  std::printf("longest turn while the log is cut   %.2f ms\n", solo.longest);
  const auto status = solo.node->status(solo.now);
  std::printf("snapshot                            %llu bytes, store %llu bytes\n",
              static_cast<unsigned long long>(status.snapshot_bytes),
              static_cast<unsigned long long>(status.store_bytes));
  const Id128 digest = solo.node->store().digest();
  solo.node.reset();
  solo.recovery = {};
  const double log = cpu_ms();
  {
    storage::RecoveredLog found;
    VESPER_ASSERT(
        storage::Wal::open(solo.fs, raft::ServerId(0), raft::Incarnation(7), {}, found).ok());
    std::printf("reading the log alone               %.0f ms (%zu entries)\n", cpu_ms() - log,
                found.entries.size());
  }
  const double restart = cpu_ms();
  solo.start();
  std::printf("restart                             %.0f ms, %.0f of them to apply %llu entries\n",
              cpu_ms() - restart, solo.replay_ms,
              static_cast<unsigned long long>(solo.node->counters().entries_applied));
  for (int i = 0; i < 10'000; ++i) solo.turn();  // until it leads and has committed all it has
  VESPER_ASSERT(solo.node->store().digest() == digest);
  return 0;
}
