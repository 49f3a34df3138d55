#include "server/server.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "api/probes.hpp"
#include "base/log.hpp"
#include "crypto/random.hpp"
#include "peer/open_peers.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kQuickExitKeys = 100'000;
// How long a server that shuts down keeps serving its open connections.
constexpr Duration kDrain = milliseconds(250);
// How often to retry when the reader of stderr is stuck.
constexpr Duration kLogRetry = milliseconds(50);

// Never 0, because 0 means "none".
std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) id = crypto::random64();
  return id;
}

HostPort listen_address(const Options& options) {
  return options.listen ? *options.listen : options.list[options.id];
}

api::Settings api_settings(const Options& options) {
  return {.id = options.id,
          .list = options.list,
          .allow_hosts = options.allow_hosts,
          .request_timeout = options.request_timeout,
          .max_value = options.max_value,
          .max_connections = options.max_connections,
          .inflight_bytes = options.inflight_bytes,
          .max_leases = options.max_leases,
          .max_locks = options.max_locks,
          .snapshot_bytes = options.snapshot_bytes,
          .snapshot_entries = options.snapshot_entries,
          .log_tail_bytes = options.log_tail_bytes,
          .log_tail_entries = options.log_tail_entries,
          .history = options.history,
          .max_watchers = options.max_watchers,
          .max_watch_filters = options.max_watch_filters,
          .max_waiters = options.max_waiters};
}

peer::Settings peer_settings(const Options& options, raft::BootId boot) {
  return {.self = raft::ServerId(options.id),
          .boot = boot,
          .list = options.list,
          .election_timeout = options.election_timeout,
          .key = options.peer_key,
          .insecure = options.insecure_peers};
}

raft::Config raft_config(const Options& options, raft::Incarnation incarnation) {
  raft::Config config;
  config.self = raft::ServerId(options.id);
  config.incarnation = incarnation;
  for (std::uint32_t id = 0; id < options.list.size(); ++id)
    config.initial_voters.push_back({raft::ServerId(id), url_of(options.list[id]), {}});
  config.seed = crypto::random64();
  config.election_timeout = options.election_timeout;
  config.heartbeat_interval = options.heartbeat;
  config.log_tail_bytes = options.log_tail_bytes;
  config.log_tail_entries = options.log_tail_entries;
  config.max_leader_lease = options.max_lease;
  config.found_after = options.found_after;
  return config;
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)),
      boot_(random_id()),
      context_(api_settings(options_), *this, loop_.now()),
      names_(loop_, io::Delegate<void>::to<&Server::on_names>(this)),
      refusal_format_(context_),
      peers_(loop_, peer_settings(options_, boot_), refusal_format_),
      listener_(loop_, options_, context_, peers_),
      shutdown_timer_(loop_, io::Delegate<void>::to<&Server::on_shutdown_deadline>(this)),
      drain_timer_(loop_, io::Delegate<void>::to<&Server::begin_shutdown>(this)),
      log_timer_(loop_, io::Delegate<void>::to<&Server::on_log_due>(this)),
      recovery_(loop_, io::Delegate<void>::to<&Server::recover>(this),
                io::Delegate<void>::to<&Server::on_recovered>(this)) {}

// The streams of connections hold pins on the node's store.
Server::~Server() {
  listener_.drop_all();
}

std::optional<api::DiskFigures> Server::disk() const {
  // The recovery thread may still be reading the log.
  if (context_.node() == nullptr) return std::nullopt;
  const storage::Wal& wal = *recovered_.wal;
  const storage::WalStats& stats = wal.stats();
  return api::DiskFigures{.frames = stats.frames,
                          .seals = stats.seals,
                          .bytes = stats.bytes,
                          .segments = stats.segments,
                          .file_bytes = stats.file_bytes,
                          .queued_bytes = wal.queued_bytes(),
                          .is_full = wal.disk_full()};
}

api::TrafficFigures Server::traffic() const {
  const ClientListener::Traffic clients = listener_.traffic();
  const peer::Traffic peers = peers_.traffic();
  return {.connections = clients.connections,
          .peer_links_up = peers.links_up,
          .client_bytes_in = clients.bytes_in,
          .client_bytes_out = clients.bytes_out,
          .peer_bytes_in = peers.bytes_in,
          .peer_bytes_out = peers.bytes_out,
          .peer_messages_dropped = peers.messages_dropped};
}

Exit Server::run() {
  start();
  loop_.run();  // returns at once if stop() was already called
  // Skip destructors: freeing a large store only delays the exit, and every promise is already
  // durable.
  const bool large = node_ != nullptr && node_->store().size() > kQuickExitKeys;
  if (large || recovery_.busy() || (fs_ != nullptr && !fs_->idle()) || loop_.awaits_resolver()) {
    // Do not wait for a disk or a name server that does not respond. Every acknowledged write is
    // already on the disk.
    log::finish();
    ::_exit(static_cast<int>(exit_));
  }
  log::finish();
  return exit_;
}

void Server::start() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write then fails with EFBIG, which counts as a full disk
  // One thread for the disk and one for names: libuv gives name lookups at most half of the pool.
  ::setenv("UV_THREADPOOL_SIZE", "2", 0);
  loop_.set_events({io::Delegate<bool>::to<&Server::busy>(this),
                    io::Delegate<void, io::Deadline>::to<&Server::on_turn>(this),
                    io::Delegate<void, Duration>::to<&Server::on_turned>(this),
                    io::Delegate<void, int>::to<&Server::on_signal>(this)});
  loop_.watch_signals();
  std::vector<HostPort> wanted{listen_address(options_)};
  if (peer::needs_loopback(peers_.settings()))
    wanted.insert(wanted.end(), options_.list.begin(), options_.list.end());
  names_.start(std::move(wanted));
}

void Server::on_names() {
  if (const auto& error = names_.error()) {
    log::error("{}", error->what);
    return stop(names_.addresses().empty() ? Exit::address : Exit::usage);
  }
  if (const auto refused = begin_to_serve()) stop(*refused);
}

std::optional<Exit> Server::begin_to_serve() {
  const std::span<const std::vector<io::Address>> addresses = names_.addresses();
  if (peer::needs_loopback(peers_.settings())) {
    if (const auto refusal =
            peer::refuse_open_peers(peers_.settings(), addresses[0], addresses.subspan(1))) {
      log::error("{}", *refusal);
      return Exit::usage;
    }
  }
  // Bind the port before opening the data, so that a second server on the same port touches
  // nothing.
  if (auto listening = listener_.listen(addresses[0]); !listening) {
    log::error("{}", listening.error().what);
    return Exit::address;
  }
  auto fs = io::UvFs::open(loop_, options_.data_dir,
                           io::Delegate<void, storage::JobDone>::to<&Server::on_disk_done>(this));
  if (!fs) {
    log::error("{}", fs.error().what);
    return Exit::data_directory;
  }
  fs_ = std::move(fs).value();
  listener_.open();
  recovery_.start();
  log::info("vesper {} listens on {}, data in {}", VESPER_VERSION, url_of(listen_address(options_)),
            options_.data_dir);
  return std::nullopt;
}

void Server::recover() {
  auto recovered = node::recover(*fs_, raft::ServerId(options_.id), raft::Incarnation(random_id()),
                                 storage::WalOptions{}, options_.log_tail_entries);
  if (!recovered) {
    recovery_error_ = recovered.error();
    return;
  }
  recovered_ = std::move(recovered).value();
  node::NodeLimits limits;
  limits.inflight_bytes = options_.inflight_bytes;
  limits.snapshot_bytes = options_.snapshot_bytes;
  limits.snapshot_entries = options_.snapshot_entries;
  limits.history = options_.history;
  limits.max_watchers = options_.max_watchers;
  limits.max_waiters = options_.max_waiters;
  node_ = std::make_unique<node::Node>(raft_config(options_, recovered_.incarnation), boot_, limits,
                                       recovered_, peers_, listener_, loop_.now());
  if (auto replayed = node_->replay(); !replayed) recovery_error_ = replayed.error();
}

void Server::on_recovered() {
  for (const std::string& note : recovered_.notes) log::info("{}", note);
  if (recovery_error_) {
    log::error("{}", recovery_error_->what);
    return stop(Exit::data_directory);
  }
  if (stopped_ || context_.draining()) return stop(Exit::ok);
  context_.set_now(loop_.now());
  context_.attach(*node_);
  listener_.resume_all();  // watches that began before
  peers_.start(*node_, recovered_.incarnation);
  run_node();
}

bool Server::busy() {
  // Ask the context, because the recovery thread may be setting node_.
  const node::Node* node = context_.node();
  return (node != nullptr && node->has_posts()) || listener_.busy() || peers_.busy();
}

void Server::on_turn(io::Deadline deadline) {
  if (stopped_) return;
  if (log::waiting() && !log_timer_.active()) log_timer_.start(kLogRetry);
  context_.set_now(loop_.now());
  if (node::Node* node = context_.node()) {
    // After the input that the sockets brought.
    if (deadline == io::Deadline::passed) context_.post(node::TimerFired{});
    if (node->has_posts()) run_node();
  }
  if (stopped_) return;
  peers_.flush();
  listener_.flush();
  if (context_.draining()) check_shutdown();
}

void Server::on_turned(Duration busy) {
  context_.metrics.turn.observe(busy);
  context_.metrics.longest_turn.observe(context_.now(), busy);
}

void Server::run_node() {
  const auto deadline = node_->turn(context_.now());
  for (const std::string& note : node_->take_notes()) log::info("{}", note);
  for (const std::string& alarm : node_->take_alarms()) log::error("{}", alarm);
  if (!deadline) {
    log::error("{} -> stopping", deadline.error().what);
    return stop(Exit::storage_failed);
  }
  say_which_cluster_was_seen();
  loop_.set_deadline(*deadline);
  warn_of_list();
  const storage::WalStats& stats = recovered_.wal->stats();
  if (stats.frames == frames_seen_) return;
  frames_seen_ = stats.frames;
  context_.metrics.fsync.observe(stats.last_took);
}

// Warns once, as soon as the voters are known from the recovered or received log.
void Server::warn_of_list() {
  const std::size_t voters = node_->raft().configuration().voters.size();
  if (voters == voters_seen_) return;
  voters_seen_ = voters;
  if (const auto mismatch = context_.list_mismatch())
    log::warn("{} -> the log decides which servers are members", mismatch->to_string());
}

void Server::on_disk_done(storage::JobDone done) {
  if (context_.node() != nullptr) context_.post(node::DiskDone{std::move(done)});
}

void Server::on_signal(int number) {
  if (context_.draining()) return;
  context_.set_now(loop_.now());
  log::info("signal {} -> shutting down", number);
  context_.set_draining();
  if (fs_ == nullptr) return stop(Exit::ok);  // it has not accepted any connection yet
  listener_.begin_drain();
  if (context_.node() != nullptr) context_.post(node::HandOver{});
  drain_timer_.start(kDrain);
  shutdown_timer_.start(options_.shutdown_timeout);
}

// True once all clients have closed (each is told with its next answer) and this server no longer
// leads, or cannot hand over.
bool Server::drained() const {
  if (!listener_.empty()) return false;
  const raft::Raft* raft = context_.node() != nullptr ? &context_.node()->raft() : nullptr;
  return raft == nullptr || !raft->is_leader() || raft->configuration().voters.size() < 2;
}

void Server::begin_shutdown() {
  if (context_.shutting_down()) return;
  drain_timer_.stop();
  context_.set_now(loop_.now());
  context_.set_shutting_down();
  listener_.begin_shutdown();
  if (context_.node() != nullptr) context_.post(node::Shutdown{});
}

void Server::check_shutdown() {
  if (!context_.shutting_down()) {
    if (!drained()) return;
    begin_shutdown();
    if (context_.node() != nullptr) return;  // the node shuts down in the next turn
  }
  node::Node* node = context_.node();
  if (listener_.settled() && (node == nullptr || node->drained())) stop(Exit::ok);
}

void Server::on_shutdown_deadline() {
  log::warn("some requests could not be answered in time -> stopping");
  stop(Exit::ok);
}

// A server without data that joins a running cluster receives the log within moments. If it does
// not, or is refused, the operator must act. A server with data continues regardless of what others
// report.
void Server::say_which_cluster_was_seen() {
  const raft::Raft& raft = node_->raft();
  const auto seen = raft.cluster_seen();
  if (seen != cluster_seen_) {
    cluster_seen_ = seen;
    cluster_seen_at_ = context_.now();
    cluster_said_ = false;
  }
  if (!seen || cluster_said_) return;
  const Id128 own = raft.peer_state().cluster_id;
  const bool waits = own.is_none() && !peers_.is_refused();
  if (waits && context_.now() - cluster_seen_at_ < options_.found_after) return;
  cluster_said_ = true;
  if (own.is_none()) log::error("{}", api::why_not_in_cluster(*seen));
  else
    log::error(
        "servers in the list belong to cluster {}, but this server to cluster {}: it keeps its {} "
        "entries and continues; check the lists and the --data-dir of both",
        to_hex(*seen), to_hex(own), raft.log().last_index().value);
}

void Server::on_log_due() {
  log::flush();
}

void Server::stop(Exit code) {
  if (stopped_) return;
  stopped_ = true;
  exit_ = code;
  names_.stop();
  peers_.stop();
  loop_.stop();
}

}  // namespace vesper::server
