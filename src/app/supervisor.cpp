#include "app/supervisor.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include "app/connector.hpp"
#include "app/stdio.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kMaxNodeLine = 64u << 10;  // bytes of a line of a node

}  // namespace

Supervisor::~Supervisor() {
  for (const auto& node : nodes_) close_link(*node);
}

void Supervisor::add(HostPort address, std::string log, std::vector<std::string> flags) {
  nodes_.push_back(std::make_unique<Node>());
  nodes_.back()->address = std::move(address);
  nodes_.back()->log = std::move(log);
  nodes_.back()->flags = std::move(flags);
}

int Supervisor::start(std::size_t id) {
  Node& node = *nodes_[id];
  close_link(node);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return errno;
  std::error_code ignored;
  // Its own name, so that `ps` shows what runs.
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  const int log = open(node.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  int error = log < 0 ? errno : 0;
  std::vector<std::string> words{ignored ? "/proc/self/exe" : program, "server", std::to_string(id),
                                 list_, "--chaos"};
  words.insert(words.end(), node.flags.begin(), node.flags.end());
  node.process = std::make_unique<ChildProcess>();
  if (error == 0)
    error = node.process->start({.words = std::move(words),
                                 .environment = {{kVariable, std::to_string(ends[1])}},
                                 .group = ChildProcess::Group::background,
                                 .output = log,
                                 .kept = ends[1]});
  if (log >= 0) close(log);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    node.process.reset();
    return error;
  }
  node.link = ends[0];
  node.is_paused = node.is_reported = false;
  node.goes_on_at = kNever;
  if (!node.cut.empty() || node.slow_disk_ms > 0) order_settings(id);
  return 0;
}

void Supervisor::look() {
  for (const auto& node : nodes_)
    if (node->process != nullptr && node->process->has_ended()) close_link(*node);
}

std::optional<std::size_t> Supervisor::next_ended() {
  for (std::size_t id = 0; id < nodes_.size(); ++id) {
    Node& node = *nodes_[id];
    if (node.process != nullptr && node.process->has_ended() &&
        !std::exchange(node.is_reported, true))
      return id;
  }
  return std::nullopt;
}

// A node that is about to go on counts.
bool Supervisor::has_running() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const auto& node) { return node->runs() || node->goes_on_at != kNever; });
}

void Supervisor::send(int signal) {
  for (const auto& node : nodes_) {
    node->goes_on_at = kNever;
    if (node->process != nullptr) node->process->send(signal);
  }
}

void Supervisor::wait(int fd, Instant until) {
  std::vector<pollfd> polled{{fd, POLLIN, 0}};
  for (const auto& node : nodes_) {
    polled.push_back({node->link, POLLIN, 0});  // poll() ignores -1
    until = std::min(until, node->goes_on_at);
  }
  int timeout = -1;
  if (until != kNever)
    timeout = static_cast<int>(std::max<std::int64_t>(0, (until - monotonic_now()).ms() + 1));
  if (poll(polled.data(), polled.size(), timeout) > 0)
    for (std::size_t id = 0; id < nodes_.size(); ++id)
      if (polled[id + 1].revents != 0) read(id);
  go_on();
  answer_carried_out();
}

void Supervisor::go_on() {
  for (std::size_t id = 0; id < nodes_.size(); ++id) {
    Node& node = *nodes_[id];
    if (node.goes_on_at > monotonic_now()) continue;
    node.goes_on_at = kNever;
    node.is_paused = false;
    if (node.runs()) node.process->send(SIGCONT);
    else if (start(id) != 0) complain(fmt::format("cannot start node {} again", id));
  }
}

// ---- lines --------------------------------------------------------------------------------

void Supervisor::close_link(Node& node) {
  if (node.link >= 0) close(node.link);
  node.link = -1;
  node.input.clear();
  for (const std::uint64_t order : std::exchange(node.orders, {})) carried_out(order);
}

void Supervisor::read(std::size_t id) {
  Node& node = *nodes_[id];
  char bytes[4096];
  const ssize_t got = recv(node.link, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close_link(node);
  node.input.append(bytes, static_cast<std::size_t>(got));
  for (std::size_t end; (end = node.input.find('\n')) != std::string::npos;) {
    const std::string line = node.input.substr(0, end);
    node.input.erase(0, end + 1);
    on_line(id, line);
  }
  if (node.input.size() > kMaxNodeLine) close_link(node);
}

void Supervisor::send_line(Node& node, std::string_view line) {
  if (node.link < 0) return;
  const std::string text = fmt::format("{}\n", line);
  if (::send(node.link, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(text.size()))
    close_link(node);  // it has read nothing for long
}

void Supervisor::on_line(std::size_t id, std::string_view line) {
  json::Document document;
  if (document.parse(line)) return;
  if (const auto order = document.root().find("carried_out").uint64()) return carried_out(*order);
  if (const auto ask = document.root().find("ask").uint64())
    carry_out(id, *ask, document.root().find("request"));
}

void Supervisor::answer(std::size_t asker, std::uint64_t ask, std::string_view member,
                        std::string_view text) {
  std::string line;
  json::Writer json(line);
  json.begin_object();
  json.member("answer", ask);
  json.key(member);
  json.string(text);
  json.end_object();
  send_line(*nodes_[asker], line);
}

// ---- orders -------------------------------------------------------------------------------

// A node that is paused carries its orders out when it goes on. Nobody waits for that.
void Supervisor::order(std::size_t id, std::string_view what) {
  Node& node = *nodes_[id];
  const std::uint64_t number = ++last_order_;
  send_line(node, fmt::format("{{\"order\":{},{}}}", number, what));
  if (node.link < 0 || node.is_paused) return;
  node.orders.insert(number);
  ordered_.insert(number);
}

void Supervisor::order_campaign(std::size_t id) {
  order(id, "\"campaign\":true");
}

void Supervisor::order_settings(std::size_t id) {
  std::string cut;
  for (const std::size_t to : nodes_[id]->cut)
    cut += fmt::format("{}{}", cut.empty() ? "" : ",", to);
  order(id, fmt::format("\"cut\":[{}],\"slow_disk_ms\":{}", cut, nodes_[id]->slow_disk_ms));
}

void Supervisor::carried_out(std::uint64_t order) {
  for (const auto& node : nodes_) node->orders.erase(order);
  for (Open& open : open_) open.orders.erase(order);
}

void Supervisor::answer_carried_out() {
  std::vector<Open> done;
  std::erase_if(open_, [&](const Open& open) {
    if (open.orders.empty()) done.push_back(open);
    return open.orders.empty();
  });
  for (const Open& open : done) answer(open.asker, open.ask, "body", "{\"done\":true}");
}

// ---- what is asked for --------------------------------------------------------------------

void Supervisor::carry_out(std::size_t asker, std::uint64_t ask, json::Value request) {
  const std::string_view act = request.find("do").string().value_or("");
  if (act == "report") return answer(asker, ask, "body", report());
  std::optional<std::size_t> id;
  for (const char* name : {"node", "from", "to"}) {
    const auto number = request.find(name).uint64();
    if (number && *number >= nodes_.size())
      return answer(asker, ask, "refused",
                    fmt::format("there is no node {}; this cluster has nodes 0 to {}", *number,
                                nodes_.size() - 1));
    if (number && !id) id = *number;
  }
  ordered_.clear();
  std::optional<std::string> refused;
  if (act == "cut" || act == "heal" || act == "isolate") refused = do_links(act, request, id);
  else if (!id) refused = "it names no node";
  else if (act == "slow_disk") refused = do_slow_disk(*id, request.find("ms").uint64().value_or(0));
  else refused = do_process(asker, act, *id);
  if (refused) return answer(asker, ask, "refused", *refused);
  open_.push_back({asker, ask, std::exchange(ordered_, {})});
}

void Supervisor::kill(std::size_t id) {
  Node& node = *nodes_[id];
  node.process.reset();  // SIGKILL, and it waits for the end
  close_link(node);
  node.is_paused = false;
  node.goes_on_at = kNever;
}

std::optional<std::string> Supervisor::do_process(std::size_t asker, std::string_view act,
                                                  std::size_t id) {
  Node& node = *nodes_[id];
  if (act == "restart") {
    kill(id);
    note(fmt::format("/chaos: node {} is started again", id));
    const int error = start(id);
    if (error == 0) return std::nullopt;
    return fmt::format("node {} cannot be started: error {}", id, error);
  }
  if (!node.runs()) return fmt::format("node {} does not run", id);
  if (act == "kill") {
    note(fmt::format("/chaos: node {} is killed", id));
    kill(id);
  } else if (act == "pause") {
    node.process->send(SIGSTOP);
    node.is_paused = true;
  } else if (act == "resume") {
    node.process->send(SIGCONT);
    node.is_paused = false;
    node.goes_on_at = kNever;
  } else if (node.is_paused) {
    return fmt::format("node {} is paused", id);
  } else {
    order_campaign(id);
  }
  if (id == asker && (act == "kill" || act == "pause"))
    node.goes_on_at = monotonic_now() + kComeback;
  return std::nullopt;
}

std::optional<std::string> Supervisor::do_links(std::string_view act, json::Value request,
                                                std::optional<std::size_t> id) {
  std::vector<std::set<std::size_t>> cuts;
  for (const auto& node : nodes_) cuts.push_back(node->cut);
  const auto set = [&](std::size_t from, std::size_t to, bool is_cut) {
    if (from == to) return;
    if (is_cut) cuts[from].insert(to);
    else cuts[from].erase(to);
  };
  if (act == "cut") {
    const std::size_t to = request.find("to").uint64().value_or(0);
    if (to == *id) return "a node has no link to itself";
    set(*id, to, true);
    if (request.find("both").boolean().value_or(false)) set(to, *id, true);
  } else {
    for (std::size_t one = 0; one < nodes_.size(); ++one)
      for (std::size_t other = 0; other < nodes_.size(); ++other)
        if (!id || one == *id || other == *id) set(one, other, act == "isolate");
  }
  for (std::size_t node = 0; node < nodes_.size(); ++node)
    if (std::exchange(nodes_[node]->cut, cuts[node]) != cuts[node]) order_settings(node);
  return std::nullopt;
}

std::optional<std::string> Supervisor::do_slow_disk(std::size_t id, std::uint64_t ms) {
  nodes_[id]->slow_disk_ms = ms;
  order_settings(id);
  return std::nullopt;
}

bool Supervisor::is_isolated(std::size_t id) const {
  for (std::size_t other = 0; other < nodes_.size(); ++other)
    if (other != id && (!nodes_[id]->cut.contains(other) || !nodes_[other]->cut.contains(id)))
      return false;
  return nodes_.size() > 1;
}

std::string Supervisor::report() const {
  std::string text;
  json::Writer json(text);
  json.begin_object();
  json.key("nodes");
  json.begin_array();
  for (std::size_t id = 0; id < nodes_.size(); ++id) {
    json.begin_object();
    json.member("id", id);
    json.member("running", nodes_[id]->runs());
    json.member("paused", nodes_[id]->is_paused);
    json.member("isolated", is_isolated(id));
    json.member("slow_disk_ms", nodes_[id]->slow_disk_ms);
    json.end_object();
  }
  json.end_array();
  json.key("cuts");
  json.begin_array();
  for (std::size_t from = 0; from < nodes_.size(); ++from)
    for (const std::size_t to : nodes_[from]->cut) {
      json.begin_object();
      json.member("from", from);
      json.member("to", to);
      json.end_object();
    }
  json.end_array();
  json.end_object();
  return text;
}

}  // namespace vesper::app
