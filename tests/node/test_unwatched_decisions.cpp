// Three nodes over a network, disks and a clock that are made up and never draw a random number:
// what Raft decides and sends is the same whether somebody reads the trace or not.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/checksum.hpp"
#include "kv/command.hpp"
#include "node/codec.hpp"
#include "node/node.hpp"
#include "support/mem_fs.hpp"

namespace test_unwatched_decisions {

using namespace vesper;
using namespace vesper::node;

namespace {

constexpr std::size_t kServers = 3;
constexpr Duration kTurn = milliseconds(1);  // each node takes a turn this often, watched or not
constexpr int kTurns = 4'000;
constexpr int kCutFrom = 1'500, kCutTo = 2'200;  // the leader of that time is cut off

raft::Incarnation incarnation_of(std::size_t server) {
  return raft::Incarnation(server + 100);
}
raft::ServerId id_of(std::size_t server) {
  return raft::ServerId(static_cast<std::uint32_t>(server));
}
bool is_trace(const PeerMessage& message) {
  return std::holds_alternative<TraceAsked>(message) || std::holds_alternative<TraceHeard>(message);
}

class House;

struct Server final : Transport, Clients {
  House* house = nullptr;
  std::size_t number = 0;
  test::MemFs fs;
  RecoveredNode recovery;
  std::unique_ptr<Node> node;
  Instant wake_at;
  std::string shown;  // the last line of the log

  void start(House& owner, std::size_t place, Instant now);
  void send(raft::ServerId to, const PeerMessage& message, raft::Channel channel) override;
  void reply(const Ticket&, ClientReply) override {}
};

class House {
 public:
  House() : servers_(kServers) {
    for (std::size_t i = 0; i < kServers; ++i) servers_[i].start(*this, i, now_);
    for (std::size_t i = 0; i < kServers; ++i)
      for (std::size_t j = 0; j < kServers; ++j)
        if (i != j)
          servers_[i].node->post(
              PeerConnected{id_of(j), incarnation_of(j), servers_[j].node->raft().peer_state()});
  }

  // With a viewer at this server, if there is one.
  void run(std::optional<std::size_t> viewed) {
    std::unique_ptr<TraceViewer> viewer;
    for (turn_ = 0; turn_ < kTurns; ++turn_) {
      if (turn_ == 200 && viewed) viewer = servers_[*viewed].node->traces().open({1, 1, 0});
      if (turn_ == kCutFrom) cut_ = leader();
      if (turn_ == kCutTo) cut_.reset();
      if (turn_ % 7 == 0) write(static_cast<std::size_t>(turn_) % kServers);
      step();
      if (viewer == nullptr || turn_ % 20 != 0) continue;
      while (viewer->next()) ++seen_;
    }
  }

  // What Raft has sent and become, a line each.
  const std::vector<std::string>& log() const { return log_; }
  std::size_t leaders() const { return leaders_.size(); }
  std::size_t seen() const { return seen_; }
  std::size_t traces_sent() const { return traces_sent_; }

  void send(std::size_t from, raft::ServerId to, const PeerMessage& message) {
    if (is_trace(message)) {
      ++traces_sent_;
    } else {
      std::string bytes;
      encode(message, bytes);
      log_.push_back(
          fmt::format("{}: {} -> {}: {:016x}", turn_, from, to.value, checksum64(bytes)));
    }
    if (cut_ && (*cut_ == from || id_of(*cut_) == to)) return;
    coming_.push_back({turn_ + 2, from, to.value, message});
  }

 private:
  struct Coming {
    int turn = 0;
    std::size_t from = 0, to = 0;
    PeerMessage message;
  };

  std::optional<std::size_t> leader() const {
    for (std::size_t i = 0; i < kServers; ++i)
      if (servers_[i].node->raft().is_leader()) return i;
    return std::nullopt;
  }

  void write(std::size_t at) {
    servers_[at].node->post(ClientWrite{
        {2, static_cast<std::uint64_t>(turn_) + 1, 0},
        SharedBytes::copy_of(kv::encode_put("k", std::to_string(turn_), kv::ValueForm::bytes, {})),
        now_ + seconds(1),
        nullptr});
  }

  void step() {
    now_ = now_ + kTurn;
    for (Coming& each : std::exchange(coming_, {})) {
      if (each.turn > turn_) coming_.push_back(std::move(each));
      else
        servers_[each.to].node->post(
            FromPeer{id_of(each.from), incarnation_of(each.from), std::move(each.message)});
    }
    for (Server& server : servers_) {
      if (auto done = server.fs.run_one()) server.node->post(DiskDone{std::move(*done)});
      if (server.wake_at <= now_) server.node->post(TimerFired{});
      const auto deadline = server.node->turn(now_);
      REQUIRE(deadline.ok());
      server.wake_at = *deadline;
      note(server);
    }
  }

  void note(Server& server) {
    const raft::Raft& raft = server.node->raft();
    std::string line =
        fmt::format("{} is {} in term {}, {} of {} committed, {} applied", server.number,
                    raft.role().index(), raft.current_term().value, raft.commit_index().value,
                    raft.log().last_index().value, server.node->applied_index().value);
    if (raft.is_leader()) leaders_[raft.current_term().value] = server.number;
    if (line == server.shown) return;
    log_.push_back(fmt::format("{}: {}", turn_, line));
    server.shown = std::move(line);
  }

  Instant now_{seconds(100).ns};
  int turn_ = 0;
  std::vector<Server> servers_;
  std::vector<Coming> coming_;
  std::optional<std::size_t> cut_;
  std::vector<std::string> log_;
  std::map<std::uint64_t, std::size_t> leaders_;  // by term
  std::size_t seen_ = 0, traces_sent_ = 0;
};

void Server::start(House& owner, std::size_t place, Instant now) {
  house = &owner;
  number = place;
  raft::Config config;
  auto recovered = recover(fs, id_of(place), incarnation_of(place), storage::WalOptions{},
                           config.log_tail_entries);
  REQUIRE(recovered.ok());
  recovery = std::move(recovered.value());
  config.self = id_of(place);
  config.incarnation = incarnation_of(place);
  config.seed = place + 1;
  for (std::size_t i = 0; i < kServers; ++i)
    config.initial_voters.push_back({id_of(i), fmt::format("http://s{}", i), {}});
  node = std::make_unique<Node>(config, raft::BootId(place + 9), NodeLimits{}, recovery, *this,
                                *this, now);
  REQUIRE(node->replay().ok());
}

void Server::send(raft::ServerId to, const PeerMessage& message, raft::Channel) {
  house->send(number, to, message);
}

}  // namespace

TEST_CASE("a viewer of the trace changes nothing that Raft decides or sends") {
  House plain;
  plain.run(std::nullopt);
  REQUIRE(plain.leaders() >= 2);
  REQUIRE(plain.log().size() > 2'000);
  CHECK(plain.traces_sent() == 0);
  for (std::size_t viewed = 0; viewed < kServers; ++viewed) {
    CAPTURE(viewed);
    House watched;
    watched.run(viewed);
    CHECK(watched.seen() > 500);
    CHECK(watched.traces_sent() > 100);
    const std::size_t lines = std::min(plain.log().size(), watched.log().size());
    for (std::size_t i = 0; i < lines; ++i) REQUIRE(watched.log()[i] == plain.log()[i]);
    CHECK(watched.log().size() == plain.log().size());
  }
}

}  // namespace test_unwatched_decisions
