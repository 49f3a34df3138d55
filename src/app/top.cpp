// `vesper top`: the cluster in a terminal, drawn again every second, and when the trace has news.
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "app/child_process.hpp"
#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/screen.hpp"
#include "app/top_view.hpp"
#include "app/trace_reader.hpp"

namespace vesper::app {
namespace {

constexpr int kEscape = 27;

class Top {
 public:
  Top(std::vector<HostPort> endpoints, Duration timeout)
      : endpoints_(std::move(endpoints)), timeout_(timeout), known_(endpoints_) {}

  // Asks all nodes. What the last reading said is then the one before. `run_all` waits for them.
  void read(const RunExchanges& run_all = run) {
    std::unique_ptr<TopReading> next = std::make_unique<TopReading>();
    next->survey = ClusterSurvey(timeout_);
    next->survey.ask(known_, run_all);
    next->at = monotonic_now();
    remember_members(next->survey);
    ask_more(*next, run_all);
    before_ = std::move(now_);
    now_ = std::move(next);
  }

  bool has_read() const { return now_ != nullptr; }
  // `news` may be null.
  std::vector<Line> lines(ScreenSize size, const TraceNews* news) const {
    return top_lines({before_.get(), *now_, news, monotonic_now()}, size);
  }
  const ClusterSurvey& survey() const { return now_->survey; }

 private:
  // The given endpoints may all leave the cluster while this command runs.
  void remember_members(const ClusterSurvey& survey) {
    known_ = endpoints_;
    for (const auto& node : survey.nodes())
      if (node->reachable && std::find(known_.begin(), known_.end(), node->server) == known_.end())
        known_.push_back(node->server);
  }

  static std::string take(const Exchange& exchange) {
    const bool is_good = exchange.end() == Exchange::End::reply && exchange.reply().status == 200;
    return is_good ? exchange.reply().body : std::string();
  }

  // /metrics of every node that answered, and /cluster of the leader.
  void ask_more(TopReading& reading, const RunExchanges& run_all) const {
    const auto& nodes = reading.survey.nodes();
    const Instant finish_by = monotonic_now() + timeout_;
    std::vector<std::unique_ptr<Exchange>> exchanges;
    std::vector<std::size_t> asked;
    const auto ask = [&](const HostPort& server, std::string_view path) {
      exchanges.push_back(std::make_unique<Exchange>(server, make_request(server, "GET", path),
                                                     timeout_, finish_by));
    };
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!nodes[i]->reachable) continue;
      asked.push_back(i);
      ask(nodes[i]->server, "/metrics");
    }
    if (const SurveyedNode* leader = reading.survey.leader()) ask(leader->server, "/cluster");
    run_all(exchanges);
    reading.metrics.resize(nodes.size());
    for (std::size_t k = 0; k < asked.size(); ++k)
      reading.metrics[asked[k]] = MetricsText(take(*exchanges[k]));
    if (exchanges.size() > asked.size()) (void)reading.members.parse(take(*exchanges.back()));
  }

  std::vector<HostPort> endpoints_;
  Duration timeout_;
  std::vector<HostPort> known_;  // endpoints_, and the members that answered last
  std::unique_ptr<TopReading> before_, now_;
};

int print_once(Top& top, Duration interval) {
  top.read();
  sleep_until(monotonic_now() + interval);
  top.read();
  const auto colours = shows_colours(STDOUT_FILENO) ? LineColours::yes : LineColours::no;
  const ScreenSize size{terminal_columns(STDOUT_FILENO), SIZE_MAX};
  const std::optional<std::string> denied = top.survey().why_denied();
  if (denied) complain(*denied);
  return print(to_text(top.lines(size, nullptr), colours), top.survey().exit_code());
}

// Draws until the user presses q or a signal comes.
class TopScreen {
 public:
  TopScreen(Top& top, const std::vector<HostPort>& endpoints) : top_(top), trace_(endpoints) {}

  int show(Duration interval) {
    screen_.emplace();
    if (!screen_->is_open()) {
      screen_.reset();
      complain("top needs a terminal that can be redrawn: check TERM, or use --once");
      return kExitUsage;
    }
    while (true) {
      const Instant next = monotonic_now() + interval;
      top_.read([this](auto exchanges) { wait_for(exchanges); });
      draw();
      while (true) {
        const Screen::Event event = screen_->wait({signals_.fd(), trace_.fd()}, next);
        if (event == Screen::Event::closed) return kExitError;
        if (event == Screen::Event::resized) draw();
        if (event == Screen::Event::key) {
          const int key = screen_->key();
          if (key == 'q' || key == 'Q' || key == kEscape) return kExitOk;
        }
        if (take_signals()) return kExitOk;
        take_trace();
        if (event == Screen::Event::due) break;
      }
    }
  }

 private:
  void draw() { screen_->draw(top_.lines(screen_->size(), &trace_.news())); }

  // A node that is down delays the answers of a survey, but not what the others tell of it.
  void wait_for(std::span<const std::unique_ptr<Exchange>> exchanges) {
    while (!exchanges.empty() && run_until(exchanges, trace_.fd(), kNever) == Woken::readable)
      take_trace();
  }

  void take_trace() {
    if (trace_.fd() >= 0 && trace_.read() && top_.has_read()) draw();
  }

  // Returns true if the user wants an end.
  bool take_signals() {
    while (const auto number = signals_.next())
      if (*number == SIGINT || *number == SIGTERM || *number == SIGHUP) {
        screen_.reset();
        if (*number == SIGINT) return true;
        die_by(*number);
      }
    return false;
  }

  Top& top_;
  TraceReader trace_;
  Signals signals_;
  std::optional<Screen> screen_;
};

}  // namespace

int run_top(const TopOptions& options) {
  const auto endpoints = endpoints_of(options.cluster);
  if (!endpoints) return kExitUsage;
  Top top(*endpoints, options.cluster.timeout.value_or(survey_timeout()));
  if (options.once) return print_once(top, options.interval);
  if (!can_redraw(STDOUT_FILENO) || !is_terminal(STDIN_FILENO)) {
    complain("top needs a terminal; for a script, use --once");
    return kExitUsage;
  }
  return TopScreen(top, *endpoints).show(options.interval);
}

}  // namespace vesper::app
