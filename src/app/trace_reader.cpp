#include "app/trace_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "app/call.hpp"
#include "app/live_endpoints.hpp"
#include "app/stream_client.hpp"

namespace vesper::app {
namespace {

// A node that can speak says something each second.
constexpr Duration kTraceIdle = seconds(3);
constexpr Duration kTracePause = milliseconds(500);  // between two attempts
constexpr std::size_t kMaxBlock = 1 << 20;           // bytes of an event
constexpr std::string_view kLost = "\n\nevent: lost\n\n";

// Returns false if the reader is gone.
bool pass_on(int out, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(out, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

class PassOn final : public StreamHandler {
 public:
  PassOn(int out, LiveEndpoints& endpoints, const HostPort& server)
      : out_(out), endpoints_(endpoints), server_(server) {}

  Supply supply(std::string&) override { return Supply::end; }
  int input_fd() const override { return -1; }
  void take_head(int status, std::uint64_t) override { is_trace_ = status == 200; }
  // A connection may last for days, and the members that it began with may be gone when it ends.
  bool take_body(std::string_view part) override {
    if (!is_trace_ || !pass_on(out_, part)) return false;
    endpoints_.learn_from(server_);
    return true;
  }

 private:
  const int out_;
  LiveEndpoints& endpoints_;
  const HostPort& server_;
  bool is_trace_ = false;
};

void read_in_child(const std::vector<HostPort>& servers, int out) {
  // Ctrl-C is for the parent, which then ends this process.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  for (LiveEndpoints live(servers);; live.go_on()) {
    const HostPort server = live.current();
    live.learn_from(server);
    PassOn handler(out, live, server);
    run_stream(server, {"GET", "/trace", {}}, {kConnectTimeout, kTraceIdle}, handler);
    if (!pass_on(out, kLost)) return;
    sleep_until(monotonic_now() + kTracePause);
  }
}

}  // namespace

TraceReader::TraceReader(const std::vector<HostPort>& servers) {
  if (!servers.empty() && child_.start([&](int out) { read_in_child(servers, out); }))
    fcntl(child_.fd(), F_SETFL, O_NONBLOCK);
}

bool TraceReader::read() {
  char buffer[1 << 16];
  const ssize_t got = ::read(child_.fd(), buffer, sizeof buffer);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    child_.stop();
    news_.lose();
    return true;
  }
  rest_.append(buffer, static_cast<std::size_t>(got));
  bool is_news = false;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = rest_.find("\n\n", begin)) != rest_.npos; begin = end + 2)
    is_news |= take_block(std::string_view(rest_).substr(begin, end - begin));
  rest_.erase(0, begin);
  if (rest_.size() > kMaxBlock) rest_.clear();
  return is_news;
}

bool TraceReader::take_block(std::string_view block) {
  constexpr std::string_view kData = "data: ";
  if (block == "event: lost") {
    const bool was_live = news_.is_live();
    news_.lose();
    return was_live;
  }
  json::Document event;
  if (!block.starts_with(kData) || event.parse(block.substr(kData.size()))) return false;
  return news_.take(event.root(), monotonic_now());
}

}  // namespace vesper::app
