// The nodes of `vesper dev`: starts them, and carries out what they ask for because their clients
// have asked it of /chaos. Processes it kills, stops and starts itself; what concerns the network,
// the disk or the timer of a node it orders that node to do. The lines between both are in
// server/supervisor_link.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/child_process.hpp"
#include "app/cluster_file.hpp"
#include "base/time.hpp"
#include "json/document.hpp"
#include "json/writer.hpp"

namespace vesper::app {

class Supervisor {
 public:
  // The environment variable that tells a node which descriptor leads to its supervisor.
  static constexpr const char* kVariable = "VESPER_SUPERVISOR";
  // A node that its own client has killed or paused goes on after this time, because that client
  // could not ask it any more.
  static constexpr Duration kComeback = seconds(3);

  ~Supervisor();

  // `list`: the file that names all nodes. Call it before the first start().
  void set_list(std::string list) { list_ = std::move(list); }
  // The id of a node is its place in the order in which they are added. `flags`: of its server.
  void add(HostPort address, std::string log, std::vector<std::string> flags);
  std::size_t size() const { return nodes_.size(); }
  const HostPort& address(std::size_t id) const { return nodes_[id]->address; }
  const std::string& log(std::size_t id) const { return nodes_[id]->log; }
  int exit_code(std::size_t id) const { return nodes_[id]->process->exit_code(); }

  // Returns 0, or the errno of the failure.
  int start(std::size_t id);
  // Call it after SIGCHLD.
  void look();
  // Waits until `fd` is readable, and meanwhile carries out what the nodes ask for.
  void wait(int fd, Instant until = kNever);
  // Sends a signal to every node that runs.
  void send(int signal);
  // A node that has ended by itself, each once.
  std::optional<std::size_t> next_ended();
  bool has_running() const;

 private:
  struct Node {
    HostPort address;
    std::string log;
    std::vector<std::string> flags;
    std::unique_ptr<ChildProcess> process;  // null: killed, or not started yet
    int link = -1;
    std::string input;  // an incomplete line
    bool is_paused = false;
    bool is_reported = false;     // that it has ended
    Instant goes_on_at = kNever;  // is started or continued then
    std::set<std::size_t> cut;    // what it sends to these nodes is dropped
    std::uint64_t slow_disk_ms = 0;
    std::set<std::uint64_t> orders;  // that it has not carried out yet
    bool runs() const { return process != nullptr && !process->has_ended(); }
  };
  // An answer that waits until nodes have carried out orders.
  struct Open {
    std::size_t asker = 0;
    std::uint64_t ask = 0;
    std::set<std::uint64_t> orders;
  };

  void read(std::size_t id);
  void on_line(std::size_t id, std::string_view line);
  void carry_out(std::size_t asker, std::uint64_t ask, json::Value request);
  // These return why it cannot be done; nothing: it is done, or ordered.
  std::optional<std::string> do_process(std::size_t asker, std::string_view act, std::size_t id);
  std::optional<std::string> do_links(std::string_view act, json::Value request,
                                      std::optional<std::size_t> id);
  std::optional<std::string> do_slow_disk(std::size_t id, std::uint64_t ms);
  void kill(std::size_t id);
  void close_link(Node& node);
  void send_line(Node& node, std::string_view line);
  void order_campaign(std::size_t id);
  void order_settings(std::size_t id);
  void order(std::size_t id, std::string_view what);
  void carried_out(std::uint64_t order);
  void answer_carried_out();
  void answer(std::size_t asker, std::uint64_t ask, std::string_view member, std::string_view text);
  std::string report() const;
  bool is_isolated(std::size_t id) const;
  void go_on();

  std::string list_;
  // Their destructors kill those that still run.
  std::vector<std::unique_ptr<Node>> nodes_;
  std::uint64_t last_order_ = 0;
  std::set<std::uint64_t> ordered_;  // by the request that is being carried out
  std::vector<Open> open_;
};

}  // namespace vesper::app
