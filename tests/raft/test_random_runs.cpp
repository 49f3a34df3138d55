// Bare cores under random faults, judged after every turn (golden/safety.hpp). Small and quick; the
// simulator runs the whole node. VESPER_SEEDS=N runs more of them.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdlib>
#include <iterator>
#include <map>

#include "golden/cores.hpp"
#include "golden/describe.hpp"

namespace {

using namespace vesper;
using golden::Cores;
using golden::Link;
using raft::ServerId;

// Of a thousand steps; what is left delivers messages.
struct Weights {
  std::uint64_t sync, time, crash, restart, cut, heal, connect;
};
constexpr Weights kKinds[] = {
    {250, 100, 5, 15, 3, 15, 10},  // calm
    {250, 120, 2, 20, 2, 2, 5},    // partitions that last: two who think that they lead
    {200, 100, 25, 40, 2, 8, 5},   // crashes, so that entries are left on some disks only
};

class Run {
 public:
  Run(std::uint64_t seed, std::uint32_t servers, bool founded)
      : random_(seed),
        weights_(kKinds[seed % std::size(kKinds)]),
        cores_(options(seed, servers, founded)),
        read_floor_(1) {
    cores_.automatic_sync(false);
  }

  // Nothing, or what was wrong.
  std::string run(int steps) {
    for (int i = 0; i < steps && cores_.violation().empty() && wrong_.empty(); ++i) {
      step();
      check_reads();
      check_freshness();
    }
    if (cores_.violation().empty()) recover();
    return wrong_.empty() ? cores_.violation() : wrong_;
  }

  std::size_t leaders() const { return cores_.safety().leaders(); }
  std::uint64_t committed() const { return cores_.safety().committed().value; }
  std::size_t reads() const { return answered_; }
  std::size_t by_lease() const { return by_lease_; }
  std::size_t bounds() const { return bounds_; }

 private:
  static golden::Options options(std::uint64_t seed, std::uint32_t servers, bool founded) {
    golden::Options options;
    options.servers = servers;
    options.founded = founded;
    options.seed = seed;
    options.tuning.max_append_bytes = 200;
    options.tuning.max_inflight_messages = 4;
    return options;
  }

  std::uint64_t below(std::uint64_t n) { return random_.next() % n; }
  ServerId anybody() {
    return ServerId(static_cast<std::uint32_t>(below(cores_.servers().size())));
  }

  void step() {
    std::uint64_t choice = below(1000);
    const auto is = [&choice](std::uint64_t weight) {
      const bool it = choice < weight;
      choice -= it ? 0 : weight;
      return it;
    };
    if (is(weights_.sync)) cores_.sync(anybody(), 1 + below(3));
    else if (is(weights_.time))
      cores_.advance(microseconds(static_cast<std::int64_t>(below(10'000))));
    else if (is(70)) propose();
    else if (is(30)) read();
    else if (is(weights_.crash)) crash();
    else if (is(weights_.restart)) restart();
    else if (is(weights_.cut)) cores_.cut({anybody(), anybody()});
    else if (is(weights_.cut)) cores_.cut_into({{anybody(), anybody()}, {anybody(), anybody()}});
    else if (is(weights_.heal)) cores_.heal();
    else if (is(weights_.connect)) cores_.connect(anybody(), anybody());
    else deliver();
  }

  // From a random link: in order, out of order, twice, or never.
  void deliver() {
    const ServerId to = anybody();
    if (below(2) == 0) {
      cores_.deliver(to);
      return;
    }
    const Link link{anybody(), to};
    golden::Queue& queue = cores_.queue(link);
    if (queue.empty()) return;
    const std::uint64_t fate = below(20);
    if (fate == 0) {
      queue.pop_front();
      return;
    }
    if (fate == 1) queue.push_back(queue.front());
    if (fate == 2) std::swap(queue.front(), queue[below(queue.size())]);
    cores_.deliver_link(link, 1 + below(4));
  }

  void propose() {
    const ServerId id = anybody();
    if (!cores_.at(id).alive() || !cores_.at(id).raft->is_leader()) return;
    raft::Propose propose;
    for (std::uint64_t n = 1 + below(3); n > 0; --n)
      propose.proposals.push_back({{id, raft::BootId(1), ++proposed_},
                                   SharedBytes::copy_of(fmt::format("p{}", proposed_))});
    cores_.turn(id, {std::move(propose)});
  }

  // A read may not be answered from before what anybody knew to be committed when it was asked.
  void read() {
    const ServerId id = anybody();
    if (!cores_.at(id).alive()) return;
    read_floor_.push_back(cores_.safety().committed());
    const bool lease = below(2) == 0;
    if (lease) cores_.turn(id, {raft::LeaderLeaseRead{}});
    if (const auto index = cores_.at(id).raft->leader_lease_index(cores_.now()); lease && index) {
      ++by_lease_;
      if (*index < read_floor_.back()) wrong_ = "a lease read is older than what was committed";
      return;
    }
    cores_.turn(id, {raft::ReadIndex{read_floor_.size() - 1, lease}});
  }

  // What a server believes to be as fresh as an instant has everything that was committed before.
  void check_freshness() {
    const raft::Index committed = cores_.safety().committed();
    if (history_.empty() || history_.back().second < committed)
      history_.emplace_back(cores_.now(), committed);
    const Cores::Server& server = cores_.at(anybody());
    if (!server.alive()) return;
    const auto as_of = server.raft->fresh_as_of();
    if (!as_of) return;
    ++bounds_;
    auto at = history_.rbegin();
    while (at != history_.rend() && at->first >= *as_of) ++at;
    if (at != history_.rend() && server.raft->commit_index() < at->second)
      wrong_ =
          fmt::format("server {} has committed {}, it says that this was all {} us ago, {} was",
                      server.id.value, server.raft->commit_index().value,
                      (cores_.now() - *as_of).ns / 1000, at->second.value);
  }

  void check_reads() {
    for (Cores::Server& server : cores_.servers()) {
      for (const raft::ReadReady& ready : server.reads) {
        ++answered_;
        if (ready.leader_lease) ++by_lease_;
        if (ready.index < read_floor_[ready.id])
          wrong_ = fmt::format("K3, K4: read {} at {} is older than {}", ready.id,
                               ready.index.value, read_floor_[ready.id].value);
      }
      server.reads.clear();
    }
  }

  void crash() {
    const ServerId id = anybody();
    if (!cores_.at(id).alive()) return;
    cores_.crash(id, below(3));
    if (below(2) == 0) cores_.peer_gone(id);
  }

  void restart() {
    for (const Cores::Server& server : cores_.servers()) {
      if (server.alive()) continue;
      cores_.start(server.id);
      if (below(4) != 0) cores_.connect_all(server.id);
      return;
    }
  }

  // After the last fault a leader serves soon, and everybody agrees.
  void recover() {
    cores_.heal();
    cores_.automatic_sync(true);
    for (Cores::Server& server : cores_.servers()) {
      if (!server.alive()) cores_.start(server.id);
      cores_.sync(server.id);
    }
    for (Cores::Server& server : cores_.servers()) cores_.connect_all(server.id);
    cores_.run(seconds(2));
    const auto leader = cores_.leader();
    if (!leader) {
      wrong_ = "no leader after the last fault";
      for (const auto& server : cores_.servers()) wrong_ += "\n" + golden::describe_state(server);
      return;
    }
    cores_.turn(*leader, {raft::Propose{{{{}, SharedBytes::copy_of("last")}}}});
    cores_.run(seconds(1));
    for (const Cores::Server& server : cores_.servers())
      if (server.applied != cores_.at(*leader).applied || server.applied.back() != "last")
        wrong_ = fmt::format("server {} did not catch up", server.id.value);
  }

  Prng random_;
  Weights weights_;
  Cores cores_;
  std::vector<raft::Index> read_floor_;
  std::uint64_t proposed_ = 0;
  std::size_t answered_ = 0, by_lease_ = 0, bounds_ = 0;
  std::vector<std::pair<Instant, raft::Index>> history_;  // what was committed when
  std::string wrong_;
};

std::uint64_t seeds() {
  const char* variable = std::getenv("VESPER_SEEDS");
  return variable == nullptr ? 30 : std::strtoull(variable, nullptr, 10);
}

void run_all(std::uint32_t servers, bool founded) {
  std::size_t leaders = 0;
  std::uint64_t committed = 0;
  std::size_t reads = 0, by_lease = 0, bounds = 0;
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    Run run(seed, servers, founded);
    const std::string wrong = run.run(2000 * static_cast<int>(servers));
    CAPTURE(seed);
    CAPTURE(servers);
    REQUIRE(wrong == "");
    leaders += run.leaders();
    committed += run.committed();
    reads += run.reads();
    by_lease += run.by_lease();
    bounds += run.bounds();
  }
  // A run in which nothing happens proves nothing.
  CHECK(leaders > seeds() * 3);
  CHECK(committed > seeds() * 50);
  CHECK(reads > seeds() * 10);
  CHECK(by_lease > seeds());
  CHECK(bounds > seeds() * 100);
  MESSAGE(servers << " servers, " << seeds() << " seeds: " << leaders << " leaders, " << committed
                  << " entries, " << reads << " reads, " << by_lease << " by a lease, " << bounds
                  << " bounds of staleness");
}

}  // namespace

TEST_CASE("figure 3 holds for three servers under random faults, and they recover") {
  run_all(3, true);
}

TEST_CASE("figure 3 holds for five servers under random faults, and they recover") {
  run_all(5, true);
}

TEST_CASE("figure 3 holds from the founding of a cluster on") {
  run_all(3, false);
}
