#include "server/server.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <span>
#include <utility>
#include <vector>

#include "api/probes.hpp"
#include "api/recent_figures.hpp"
#include "base/heap.hpp"
#include "base/log.hpp"
#include "base/utc.hpp"
#include "crypto/random.hpp"
#include "peer/open_peers.hpp"
#include "server/open_clients.hpp"
#include "storage/set_aside.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kQuickExitKeys = 100'000;
// How often to look for changed certificates.
constexpr Duration kCertificates = seconds(3);
// How often to retry when the reader of stderr is stuck.
constexpr Duration kLogRetry = milliseconds(50);

HostPort listen_address(const Options& options) {
  HostPort address = options.listen.value_or(options.address);
  address.scheme = options.address.scheme;
  return address;
}

api::Settings api_settings(const Options& options) {
  return {.id = options.id,
          .list = options.list,
          .address = options.address,
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
          .max_waiters = options.max_waiters,
          .audit = options.audit_writes ? api::AuditScope::acts_and_writes : api::AuditScope::acts};
}

peer::Settings peer_settings(const Options& options, raft::BootId boot,
                             const crypto::TlsContext& dialler) {
  return {.address = options.address,
          .boot = boot,
          .list = options.list,
          .election_timeout = options.election_timeout,
          .key = options.peer_key,
          .insecure = options.insecure_peers,
          .dialler = &dialler,
          .takes_plain = options.address.scheme == Scheme::http || options.tls.allow_mixed};
}

// A directory that an operator or an earlier version has made keeps its mode.
void warn_of_open_directory(const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    log::warn("other users can enter the data directory {} -> run chmod 700 on it", directory);
}

// The number of a server before its log names it. It also marks the data directory.
raft::ServerId first_number(const Options& options) {
  return options.id ? raft::ServerId(*options.id) : raft::kNoServer;
}

raft::Config raft_config(const Options& options, raft::Incarnation incarnation) {
  raft::Config config;
  config.self = first_number(options);
  config.incarnation = incarnation;
  for (std::uint32_t id = 0; id < options.list.size(); ++id)
    config.initial_voters.push_back({raft::ServerId(id), url_of(options.list[id]), {}});
  config.seed = crypto::random64();
  config.election_timeout = options.election_timeout;
  config.heartbeat_interval = options.heartbeat;
  config.log_tail_bytes = options.log_tail_bytes;
  config.log_tail_entries = options.log_tail_entries;
  config.max_leader_lease = options.max_lease;
  config.level = options.feature_level;
  config.found_after = options.found_after;
  return config;
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)),
      boot_(crypto::random_id()),
      certificates_(options_),
      context_(api_settings(options_), *this, loop_.now()),
      names_(loop_, io::Delegate<void>::to<&Server::on_names>(this)),
      refusal_format_(context_),
      peers_(loop_, peer_settings(options_, boot_, certificates_.dialler()), refusal_format_),
      listener_(loop_, options_, context_, peers_, certificates_.acceptor(), tls_budget_),
      supervisor_(loop_, options_.supervisor_fd, listener_,
                  {io::Delegate<void, const std::vector<raft::NodeId>&>::to<&Server::on_cut>(this),
                   io::Delegate<void, Duration>::to<&Server::on_slow_disk>(this),
                   io::Delegate<void>::to<&Server::on_campaign>(this)}),
      shutdown_timer_(loop_, io::Delegate<void>::to<&Server::on_shutdown_deadline>(this)),
      drain_timer_(loop_, io::Delegate<void>::to<&Server::begin_shutdown>(this)),
      certificates_timer_(loop_, io::Delegate<void>::to<&Server::on_certificates_due>(this)),
      log_timer_(loop_, io::Delegate<void>::to<&Server::on_log_due>(this)),
      recovery_(loop_, io::Delegate<void>::to<&Server::recover>(this),
                io::Delegate<void>::to<&Server::on_recovered>(this)) {
  if (options_.chaos) context_.offer_chaos(supervisor_);
}

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

std::optional<std::uint64_t> Server::audit_lines_dropped() const {
  if (!audit_) return std::nullopt;
  return audit_->dropped();
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

std::optional<api::TlsFigures> Server::tls() const {
  return certificates_.figures(std::time(nullptr));
}

Exit Server::run() {
  start();
  loop_.run();  // returns at once if stop() was already called
  const bool large = node_ != nullptr && node_->store().size() > kQuickExitKeys;
  const bool is_slow_to_end =
      large || recovery_.busy() || (fs_ != nullptr && !fs_->idle()) || loop_.awaits_resolver();
  // A restart goes on in this process.
  if (is_slow_to_end && exit_ != Exit::restart) {
    // Skip destructors: freeing a large store only delays the exit, and every promise is already
    // durable.
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
  if (const auto loaded = certificates_.load(); !loaded) {
    log::error("{}", loaded.error().what);
    return stop(Exit::usage);
  }
  std::vector<HostPort> wanted{listen_address(options_)};
  if (options_.chaos) wanted.push_back(options_.address);
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
    if (const auto refusal = peer::refuse_open_peers(peers_.settings(), addresses[0],
                                                     addresses.last(options_.list.size()))) {
      log::error("{}", *refusal);
      return Exit::usage;
    }
  }
  auto refusal = refuse_open_clients(options_, addresses[0]);
  if (!refusal && options_.chaos) refusal = refuse_open_chaos(addresses[0], addresses[1]);
  if (refusal) {
    log::error("{}", *refusal);
    return Exit::usage;
  }
  if (needs_tokens(options_, addresses[0])) context_.close_until_auth();
  // Bind the port before opening the data, so that a second server on the same port touches
  // nothing.
  if (auto listening = listener_.listen(addresses[0]); !listening) {
    log::error("{}", listening.error().what);
    return Exit::address;
  }
  if (options_.audit_log) {
    audit_.emplace(*options_.audit_log);
    if (auto opened = audit_->open(); !opened) {
      log::error("{}", opened.error().what);
      return Exit::usage;
    }
    context_.set_audit_sink(&*audit_);
  }
  auto fs = io::UvFs::open(loop_, options_.data_dir,
                           io::Delegate<void, storage::JobDone>::to<&Server::on_disk_done>(this));
  if (!fs) {
    log::error("{}", fs.error().what);
    return Exit::data_directory;
  }
  fs_ = std::move(fs).value();
  fs_->set_delay(disk_delay_);
  warn_of_open_directory(options_.data_dir);
  if (auto tokens = needed_tokens_.load(*fs_); !tokens) {
    log::error("{}", tokens.error().what);
    return Exit::data_directory;
  }
  if (needed_tokens_.recorded()) context_.close_until_tokens_known();
  records_.emplace(*fs_);
  if (certificates_.dialler()) certificates_timer_.start(kCertificates, kCertificates);
  listener_.open();
  recovery_.start();
  log::info("vesper {} listens on {}, data in {}", VESPER_VERSION, url_of(listen_address(options_)),
            options_.data_dir);
  if (!options_.join.empty())
    log::info("waits for the cluster of {} -> add this node with `vesper cluster add {}`",
              url_of(options_.join.front()), url_of(options_.address));
  return std::nullopt;
}

// Before anything else reads the directory. Only a server that knows that its state differs from a
// majority's discards it, so that the flag may stay in a unit file.
Result<void> Server::prepare_directory() {
  auto done = storage::complete_set_aside(*fs_, *fs_);
  if (!done) return done.error();
  const auto diverged = storage::read_record(*fs_, storage::kDiverged);
  if (!diverged) return diverged.error();
  if (*diverged && options_.discard_state) {
    if (auto ordered =
            storage::order_set_aside(*fs_, *fs_, utc_stamp(std::time(nullptr)), **diverged);
        !ordered)
      return ordered.error();
    done = storage::complete_set_aside(*fs_, *fs_);
    if (!done) return done.error();
  } else if (*diverged) {
    warnings_.push_back(fmt::format(
        "{} -> start this server with --discard-state to take a new copy from the leader",
        **diverged));
  } else if (options_.discard_state && !*done) {
    warnings_.push_back(
        "--discard-state: nothing says that the state has diverged -> keeping the data directory");
  }
  if (!*done) return {};
  warnings_.push_back(fmt::format(
      "{} -> its files are now in {}{}", (*done)->why, (*done)->folder,
      (*done)->successor == storage::Successor::none ? "; this server starts without data" : ""));
  if (!(*done)->left.empty())
    warnings_.push_back(fmt::format("an earlier copy stays: {}", (*done)->left));
  return {};
}

void Server::recover() {
  if (auto prepared = prepare_directory(); !prepared) {
    recovery_error_ = prepared.error();
    return;
  }
  auto recovered =
      node::recover(*fs_, first_number(options_), raft::Incarnation(crypto::random_id()),
                    storage::WalOptions{}, options_.log_tail_entries);
  if (!recovered) {
    recovery_error_ = recovered.error();
    return;
  }
  recovered_ = std::move(recovered).value();
  if (auto opened = boots_.open(*fs_, recovered_.incarnation); !opened) {
    recovery_error_ = opened.error();
    return;
  }
  if (auto loaded = root_reset_.load(*fs_); !loaded) {
    recovery_error_ = loaded.error();
    return;
  }
  if (!boots_.note().empty()) warnings_.push_back(boots_.note());
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
  give_memory_back();  // the buffers that the files were read into lie between what stays
  // C14: a build that lacks a feature in use cannot read the log.
  if (const std::uint32_t needed = node_->raft().committed_configuration().level;
      !recovery_error_ && node_->raft().peer_state().last_index.value > 0 &&
      needed > options_.feature_level)
    recovery_error_ = Error{fmt::format(
        "the data in {} needs a build of feature level {}, but this build has {}: install a newer "
        "version of vesper",
        options_.data_dir, needed, options_.feature_level)};
  const auto cluster = storage::read_record(*fs_, storage::kCluster);
  if (!cluster) recovery_error_ = cluster.error();
  else if (*cluster && node_->raft().peer_state().last_index.value == 0)
    known_cluster_ = parse_hex128(**cluster);
  // The log may not say so: a snapshot without this server is also what a new learner starts with.
  const auto left = storage::read_record(*fs_, storage::kLeft);
  if (!left) recovery_error_ = left.error();
  else if (*left && **left == to_hex(node_->raft().committed_configuration().cluster_id))
    has_left_ = true;
}

void Server::on_recovered() {
  for (const std::string& warning : warnings_) log::warn("{}", warning);
  for (const std::string& note : recovered_.notes) log::info("{}", note);
  if (recovery_error_) {
    log::error("{}", recovery_error_->what);
    return stop(Exit::data_directory);
  }
  if (has_left_) {
    removed_ = true;
    say_it_has_left();
    return stop(Exit::ok);
  }
  if (stopped_ || context_.draining()) return stop(Exit::ok);
  context_.set_now(loop_.now());
  context_.attach(*node_);
  listener_.resume_all();  // watches that began before
  peers_.start(*node_, boots_.boot_number(), boots_);
  // Without data, and yet not new.
  if (known_cluster_)
    context_.post(node::PeerStateHeard{raft::kNoServer, raft::PeerState{*known_cluster_, {}, {}}});
  why_wiped();  // an older copy takes no part from its first turn on
  run_node();
}

bool Server::busy() {
  if (setting_aside_) return false;  // waits for the disk only
  // Ask the context, because the recovery thread may be setting node_.
  const node::Node* node = context_.node();
  return (node != nullptr && node->has_posts()) || listener_.busy() || peers_.busy();
}

void Server::on_turn(io::Deadline deadline) {
  if (stopped_) return;
  const bool waits = log::waiting() || (audit_ && audit_->waiting());
  if (waits && !log_timer_.active()) log_timer_.start(kLogRetry);
  context_.set_now(loop_.now());
  if (const auto why = why_wiped()) return set_aside(*why);
  if (node::Node* node = context_.node()) {
    api::take_sample_if_due(context_);
    // After the input that the sockets brought.
    if (deadline == io::Deadline::passed) context_.post(node::TimerFired{});
    if (node->has_posts()) run_node();
    if (!stopped_) listener_.review_clients();
  }
  if (stopped_) return;
  run_records();
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
  if (node_->is_removed() && !removed_) leave_cluster();
  say_which_cluster_was_seen();
  loop_.set_deadline(std::min(*deadline, context_.samples.due()));
  compare_with_members();
  const storage::WalStats& stats = recovered_.wal->stats();
  if (stats.frames == frames_seen_) return;
  frames_seen_ = stats.frames;
  context_.metrics.fsync.observe(stats.last_took);
}

void Server::run_records() {
  if (context_.node() == nullptr) return;
  const auto& divergence = node_->divergence();
  if (divergence && !std::exchange(divergence_recorded_, true))
    records_->write(
        storage::kDiverged,
        fmt::format("the state after entry {} had digest {} here, but a majority had {}",
                    divergence->index.value, to_hex(divergence->own),
                    to_hex(divergence->majority)));
  if (divergence_recorded_ && !std::exchange(cluster_recorded_, true))
    records_->write(storage::kCluster, to_hex(context_.cluster_id()));
  root_reset_.run(context_, *records_);
  needed_tokens_.run(context_, *records_);
  boots_.save(*records_);
  records_->flush(context_.now());
}

// Why this server must be treated like one that has lost its disk: its data directory is an older
// copy, so that it may have forgotten votes and acknowledgements. It takes no part from then on.
// Its files are set aside only once a leader is heard, because then the others have a majority
// without it: if a majority goes back at once, its copies are the only data left.
std::optional<std::string> Server::why_wiped() {
  if (context_.node() == nullptr) return std::nullopt;
  const raft::Raft& raft = node_->raft();
  std::optional<std::string> why = boots_.older_copy();
  const bool regressed = raft.has_regressed(raft.self());
  if (!why && !regressed) return why;
  if (!why)
    why = "the data directory is an older copy: it lacks entries that this server acknowledged";
  if (!regressed && !std::exchange(older_copy_said_, true)) {
    log::error(
        "{} -> taking no part until a leader is heard; if no other server is left, "
        "`vesper recover {}` makes it the start of a new cluster",
        *why, options_.data_dir);
    context_.post(node::ToldToBeOlder{});
  }
  boots_.keep_older_copy(*why);
  const bool leader_is_fresh =
      raft.leader() && context_.now() - raft.leader_heard().at <= options_.election_timeout;
  return regressed && leader_is_fresh ? why : std::nullopt;
}

// The node gets no further turn, so it votes for no one and acknowledges nothing from now on. The
// next start, of the process that replaces this one, moves the files away.
void Server::set_aside(const std::string& why) {
  if (!std::exchange(setting_aside_, true)) {
    log::error("{} -> taking no part, setting it aside and starting again without data", why);
    peers_.stop();
  }
  if (!fs_->idle()) return;
  auto ordered = storage::write_record(*fs_, storage::kCluster, to_hex(context_.cluster_id()));
  if (ordered) {
    const auto folder = storage::order_set_aside(*fs_, *fs_, utc_stamp(std::time(nullptr)), why);
    if (!folder) ordered = folder.error();
  }
  if (!ordered) {
    log::error("cannot set the data directory aside: {}", ordered.error().what);
    return stop(Exit::storage_failed);
  }
  stop(context_.draining() ? Exit::ok : Exit::restart);  // the order is durable either way
}

// Warns once, as soon as the members are known from the recovered or received log. From then on its
// log lines have the id of this server, which an added server did not know before.
void Server::compare_with_members() {
  if (context_.own_member() != nullptr && !std::exchange(is_named_, true))
    log::set_node(fmt::format("n{}", context_.own_member()->node.value));
  if (list_compared_ || node_->raft().configuration().cluster_id.is_none()) return;
  list_compared_ = true;
  if (const auto mismatch = context_.list_mismatch())
    log::warn("{} -> the log decides which servers are members", mismatch->to_string());
}

void Server::say_it_has_left() const {
  log::error(
      "this server has left cluster {}: it is no member any more -> stopping; to add it again, "
      "empty {} and run `vesper cluster add {}`",
      to_hex(node_->raft().committed_configuration().cluster_id), options_.data_dir,
      url_of(options_.address));
}

// The process ends instead of staying up unready, so that its supervisor learns that it has no more
// work.
void Server::leave_cluster() {
  removed_ = true;
  say_it_has_left();
  records_->write(storage::kLeft, to_hex(context_.cluster_id()));
  if (!context_.draining()) begin_drain();
}

void Server::on_disk_done(storage::JobDone done) {
  if (storage::RecordWriter::owns(done.id)) {
    if (auto written = records_->on_done(done, loop_.now()); !written && !stopped_) {
      log::error("{} -> stopping", written.error().what);
      stop(Exit::storage_failed);
    }
    return;
  }
  if (context_.node() != nullptr) context_.post(node::DiskDone{std::move(done)});
}

void Server::reload() {
  certificates_.load_again();
  if (!audit_) return;
  // The file may have been moved away.
  if (auto opened = audit_->open(); !opened) log::error("{}", opened.error().what);
}

void Server::on_signal(int number) {
  if (number == SIGHUP) return reload();
  if (context_.draining()) return;
  context_.set_now(loop_.now());
  log::info("signal {} -> shutting down", number);
  if (fs_ == nullptr) return stop(Exit::ok);  // it has not accepted any connection yet
  begin_drain();
  if (context_.node() != nullptr) context_.post(node::HandOver{});
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
        "a server that counts as a member belongs to cluster {}, but this server to cluster {}: it "
        "keeps its {} entries and continues; check the lists, the added addresses and the "
        "--data-dir "
        "of both",
        to_hex(*seen), to_hex(own), raft.log().last_index().value);
}

void Server::on_slow_disk(Duration delay) {
  disk_delay_ = delay;
  if (fs_ != nullptr) fs_->set_delay(delay);
}

void Server::on_campaign() {
  if (context_.node() != nullptr) context_.post(node::FireElectionTimer{});
}

void Server::on_log_due() {
  log::flush();
  if (audit_ && audit_->waiting()) audit_->flush();
}

void Server::stop(Exit code) {
  if (stopped_) return;
  stopped_ = true;
  api::audit_refusals(context_);
  exit_ = removed_ && code == Exit::ok ? Exit::removed : code;
  names_.stop();
  peers_.stop();
  loop_.stop();
}

}  // namespace vesper::server
