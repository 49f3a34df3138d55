// What it takes to keep and to show the figures of 15 minutes: run by hand.
//   ninja -C build tests/api/bench_samples && build/tests/api/bench_samples
#include <cstdio>
#include <memory>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "support/bench.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;
using namespace vesper::api;

namespace {

struct Idle final : Figures, node::Transport, node::Clients {
  std::optional<DiskFigures> disk() const override { return DiskFigures{.file_bytes = 1 << 20}; }
  TrafficFigures traffic() const override { return {}; }
  void send(raft::ServerId, const node::PeerMessage&, raft::Channel) override {}
  void reply(const node::Ticket&, node::ClientReply) override {}
};

}  // namespace

int main() {
  test::MemFs fs;
  Idle idle;
  const Instant start{seconds(1).ns};
  auto recovered = node::recover(fs, raft::ServerId(0), raft::Incarnation(1), {}, 100);
  raft::Config config;
  config.self = raft::ServerId(0);
  config.initial_voters = {{config.self, "http://a:1", {}}};
  node::Node node(config, raft::BootId(9), {}, recovered.value(), idle, idle, start);
  Context context({}, idle, start);
  context.attach(node);
  const auto take = [&](std::size_t i) {
    for (Histogram& latency : context.metrics.latency) latency.observe(milliseconds(1));
    context.metrics.fsync.observe(milliseconds(1));
    context.set_now(start + Samples::kEvery * static_cast<std::int64_t>(i));
    take_sample_if_due(context);
  };
  test::measure("a sample, with requests at every endpoint", 100'000, take);
  HttpExchange exchange;
  exchange.request = RecentFiguresRequest{};
  std::size_t size = 0;
  test::measure("a reply with 15 minutes", 1'000, [&](std::size_t) {
    Answer answer;
    render_recent_figures(context, exchange, answer);
    size = answer.body.size();
  });
  std::printf("%zu bytes in the reply, %zu in memory\n", size, Samples::kMax * sizeof(Sample));
  return 0;
}
