// The composition root: creates and connects all parts, runs the loop, and returns the exit code.
// This file and server.cpp show how the parts are connected.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/context.hpp"
#include "api/figures.hpp"
#include "io/loop.hpp"
#include "io/timer.hpp"
#include "io/tls_budget.hpp"
#include "io/uv_fs.hpp"
#include "node/node.hpp"
#include "peer/peers.hpp"
#include "server/audit_file.hpp"
#include "server/boot_memory.hpp"
#include "server/certificates.hpp"
#include "server/client_listener.hpp"
#include "server/needed_tokens.hpp"
#include "server/options.hpp"
#include "server/refusal_format.hpp"
#include "server/root_reset.hpp"
#include "server/startup_names.hpp"
#include "server/supervisor_link.hpp"
#include "storage/records.hpp"
#include "storage/wal.hpp"

namespace vesper::server {

// The exit codes of `vesper server` (docs/command-line.md).
enum class Exit : int {
  ok = 0,               // after SIGTERM or SIGINT
  usage = 2,            // includes bad certificates, and ports that strangers could reach
  address = 10,         // in use, or not an address of this machine
  data_directory = 11,  // locked, damaged, or of another cluster or id
  storage_failed = 12,  // while running
  removed = 13,         // from the cluster
  // No exit code: the data directory is to be set aside. Start the program again with the same
  // arguments.
  restart = 100,
};

class Server final : private api::Figures {
 public:
  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until a signal or a failure. Unless a signal ended it, the log says why. May be called
  // only once.
  Exit run();

 private:
  std::optional<api::DiskFigures> disk() const override;
  api::TrafficFigures traffic() const override;
  std::optional<api::TlsFigures> tls() const override;
  std::optional<std::uint64_t> audit_lines_dropped() const override;

  void start();
  void on_names();
  std::optional<Exit> begin_to_serve();
  bool busy();
  void on_turn(io::Deadline deadline);
  void on_turned(Duration busy);
  void reload();
  void on_signal(int number);
  void on_certificates_due() { certificates_.load_changed(); }
  void on_disk_done(storage::JobDone done);
  // Runs on a thread of the pool: recovers the log and creates the node. The loop's thread must not
  // touch either until on_recovered().
  void recover();
  Result<void> prepare_directory();
  void on_recovered();
  void run_node();
  void run_records();
  std::optional<std::string> why_wiped();
  void set_aside(const std::string& why);
  void compare_with_members();
  void say_it_has_left() const;
  void leave_cluster();
  void begin_drain();
  std::string address_of(raft::ServerId id) const override { return peers_.address_of(id); }
  void check_shutdown();
  void begin_shutdown();
  bool drained() const;
  void on_shutdown_deadline();
  void on_log_due();
  void on_cut(const std::vector<raft::NodeId>& nodes) { peers_.cut(nodes); }
  void on_slow_disk(Duration delay);
  void on_campaign();
  void say_which_cluster_was_seen();
  void stop(Exit code);

  const Options options_;
  const raft::BootId boot_;
  io::Loop loop_;
  Certificates certificates_;
  api::Context context_;
  StartupNames names_;
  ProblemFormat refusal_format_;
  io::TlsBudget tls_budget_;  // of clients, and of diallers that are not trusted yet
  peer::Peers peers_;
  ClientListener listener_;
  SupervisorLink supervisor_;
  io::Timer shutdown_timer_, drain_timer_;
  io::Timer certificates_timer_;  // looks for changed files
  io::Timer log_timer_;           // retries stderr while log lines wait
  std::unique_ptr<io::UvFs> fs_;
  std::optional<AuditFile> audit_;
  RootReset root_reset_;
  NeededTokens needed_tokens_;
  std::optional<storage::RecordWriter> records_;  // set with fs_
  BootMemory boots_;
  std::vector<std::string> warnings_;  // of the recovery
  node::RecoveredNode recovered_;      // owns the log and the snapshots that the node uses
  std::unique_ptr<node::Node> node_;
  std::optional<Error> recovery_error_;
  io::Background recovery_;
  std::uint64_t frames_seen_ = 0;
  Duration disk_delay_;
  bool list_compared_ = false;         // with the members of the cluster
  bool is_named_ = false;              // in its log lines
  bool removed_ = false;               // from the cluster
  bool has_left_ = false;              // in an earlier life of this directory; set by recover()
  std::optional<Id128> cluster_seen_;  // the cluster that say_which_cluster_was_seen() tracks
  Instant cluster_seen_at_;
  bool cluster_said_ = false;
  bool divergence_recorded_ = false;
  bool older_copy_said_ = false;
  bool cluster_recorded_ = false;
  std::optional<Id128> known_cluster_;  // of data that was set aside, while there is no log
  bool setting_aside_ = false;          // this server takes no part any more
  bool stopped_ = false;
  Exit exit_ = Exit::ok;
};

}  // namespace vesper::server
