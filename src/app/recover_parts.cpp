// How `vesper recover` reads directories, asks the members, describes what it found, and writes the
// new cluster (recover.hpp).
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/cluster_survey.hpp"
#include "app/endpoints.hpp"
#include "app/recover.hpp"
#include "app/table.hpp"
#include "base/bytes.hpp"
#include "base/utc.hpp"
#include "crypto/random.hpp"
#include "node/new_cluster.hpp"
#include "raft/quorum.hpp"
#include "storage/set_aside.hpp"
#include "storage/wal_format.hpp"

namespace vesper::app {
namespace {

namespace files = std::filesystem;

constexpr Duration kPatience = seconds(1);

// When the newest segment of the log was written. Recovery rewrites the log's tail, so restore()
// has to follow it: an operator who looks twice wants to know twice when the server wrote last.
class LastWritten {
 public:
  explicit LastWritten(const std::string& directory) {
    std::string newest;
    for (const auto& entry : files::directory_iterator(directory, failed_)) {
      const std::string name = entry.path().filename().string();
      if (!storage::parse_segment_name(name) || name < newest) continue;
      newest = name;
      segment_ = entry.path();
      at_ = entry.last_write_time(failed_);
    }
  }

  std::string text() const {
    if (segment_.empty() || failed_) return "-";
    const auto time = std::chrono::file_clock::to_sys(at_);
    return utc_text(std::chrono::system_clock::to_time_t(time), "%Y-%m-%dT%H:%M:%SZ");
  }
  void restore() const {
    std::error_code ignored;
    if (!segment_.empty() && !failed_) files::last_write_time(segment_, at_, ignored);
  }

 private:
  files::path segment_;
  files::file_time_type at_{};
  std::error_code failed_;
};

Result<Survivor> open_survivor(io::Loop& loop, const std::string& directory) {
  std::error_code failed;
  if (!files::is_directory(directory, failed)) return Error{"it is not a directory"};
  Survivor survivor;
  survivor.directory = directory;
  const LastWritten written(directory);
  survivor.written = written.text();
  auto fs = io::UvFs::open(loop, directory, {});
  if (!fs) return std::move(fs).error();
  survivor.fs = std::move(fs.value());
  auto found = node::survey(*survivor.fs);
  written.restore();
  if (!found) return std::move(found).error();
  survivor.survey = std::move(found.value());
  return survivor;
}

bool is_better(const Survivor& a, const Survivor& b) {
  if (a.survey.diverged.empty() != b.survey.diverged.empty()) return a.survey.diverged.empty();
  return node::is_more_up_to_date(a.survey, b.survey);
}

bool is_older_copy(const Survivor& survivor, const std::vector<Survivor>& survivors) {
  return std::any_of(survivors.begin(), survivors.end(), [&](const Survivor& witness) {
    return node::is_older_copy(survivor.survey, witness.survey);
  });
}

std::string note_on(const Survivor& survivor, const std::vector<Survivor>& survivors) {
  const Survivor& best = survivors.front();
  if (!survivor.survey.diverged.empty()) return "its state has diverged";
  if (is_older_copy(survivor, survivors))
    return &survivor == &best ? "best, but an older copy" : "an older copy";
  if (&survivor == &best) return "best";
  if (const auto index = node::first_difference(survivor.survey, best.survey))
    return fmt::format("another state after entry {}", index->value);
  if (survivor.survey.last_term() == best.survey.last_term()) {
    const std::uint64_t lacks = best.survey.last_index().value - survivor.survey.last_index().value;
    return lacks == 0 ? "as good" : fmt::format("lacks {} entries", lacks);
  }
  return "its log ends in an older term";
}

Row row_of(const Survivor& survivor, const std::vector<Survivor>& survivors) {
  const node::Survey& found = survivor.survey;
  return {Cell::of_bytes(survivor.directory),
          std::to_string(found.self()->node.value),
          to_hex(found.incarnation.value),
          std::to_string(found.last_term().value),
          std::to_string(found.last_index().value),
          std::to_string(found.commit_index.value),
          std::to_string(found.snapshot_index.value),
          std::to_string(found.revision),
          to_hex(found.digest).substr(0, 8),
          survivor.written,
          note_on(survivor, survivors)};
}

// What the directories prove about acknowledged writes. An older copy proves nothing about later
// ones. An acknowledged entry is on a majority of
// the voters, and the best directory of any majority has it (§5.4.1).
std::string describe_loss(const std::vector<Survivor>& survivors) {
  const node::Survey& best = survivors.front().survey;
  const raft::Configuration& last = best.configuration();
  const auto here = [&](const raft::Member& member) {
    return std::any_of(survivors.begin(), survivors.end(), [&](const Survivor& survivor) {
      const raft::Member* self = last.find(survivor.survey.incarnation);
      return self != nullptr && self->id == member.id && survivor.survey.diverged.empty() &&
             !is_older_copy(survivor, survivors);
    });
  };
  std::string missing;
  for (const raft::Member& member : last.members)
    if (member.votes() && !here(member))
      missing += fmt::format("{}node {} ({})", missing.empty() ? "" : ", ", member.node.value,
                             escaped(member.address));
  // What one directory knows to be committed, the best one has (§5.4.3).
  raft::Index committed;
  for (const Survivor& survivor : survivors)
    if (survivor.survey.diverged.empty())
      committed = std::max(committed, survivor.survey.commit_index);
  std::string out =
      fmt::format("Everything up to entry {} was committed and is whole.\n", committed.value);
  if (raft::Quorum(last.members).holds(here))
    return out + "A majority of the voters is here: nothing that was acknowledged is lost.\n";
  const std::uint64_t end = best.last_index().value;
  if (committed.value < end)
    out += fmt::format("The entries after it, up to {}, are kept, too.\n", end);
  return out + fmt::format(
                   "Writes that were acknowledged after entry {} (last written at {}) may "
                   "be lost: they would be on {}.\n",
                   end, survivors.front().written, missing);
}

// Runs the disk's jobs of a NewClusterWriter on the loop.
class WriteRun {
 public:
  WriteRun(io::Loop& loop, node::Survey& start) : loop_(loop), start_(start) {}

  Result<void> run(const std::string& directory) {
    loop_.set_events({io::Delegate<bool>::to<&WriteRun::busy>(this),
                      io::Delegate<void, io::Deadline>::to<&WriteRun::on_turn>(this),
                      {},
                      {}});
    auto fs = io::UvFs::open(loop_, directory,
                             io::Delegate<void, storage::JobDone>::to<&WriteRun::on_done>(this));
    if (!fs) return std::move(fs).error();
    writer_.emplace(**fs, start_);
    outcome_ = writer_->open();
    if (outcome_) loop_.run();
    while (!(*fs)->idle()) loop_.run();
    if (outcome_ && !writer_->is_done()) outcome_ = Error{"the disk's jobs ended too early"};
    writer_.reset();
    loop_.set_events({});
    return outcome_;
  }

 private:
  bool busy() { return outcome_ && writer_->wants_turn(); }
  void on_turn(io::Deadline) {
    if (outcome_ && !writer_->is_done()) outcome_ = writer_->pump(loop_.now());
    if (!outcome_ || writer_->is_done()) loop_.stop();
  }
  void on_done(storage::JobDone done) {
    if (outcome_) outcome_ = writer_->on_done(done, loop_.now());
  }

  io::Loop& loop_;
  node::Survey& start_;
  std::optional<node::NewClusterWriter> writer_;
  Result<void> outcome_;
};

// Reads the new files back, as the start of the server will.
Result<void> verify(io::Loop& loop, const std::string& directory, const node::Survey& expected) {
  auto fs = io::UvFs::open(loop, directory, {});
  if (!fs) return std::move(fs).error();
  const auto found = node::survey(**fs);
  if (!found) return found.error();
  if (found->digest != expected.digest || !(found->state.configuration == expected.configuration()))
    return Error{"what was written does not read back the same"};
  return {};
}

bool answers(const Running& running, std::uint64_t id) {
  return std::any_of(running.answering.begin(), running.answering.end(),
                     [id](const Running::Server& server) { return server.node == id; });
}

bool may_run(const Running& running, std::uint64_t id, std::string_view address) {
  const auto server = parse_endpoint(address);
  return answers(running, id) || std::any_of(running.strangers.begin(), running.strangers.end(),
                                             [&](const Running::Stranger& stranger) {
                                               return server && stranger.server == server.value();
                                             });
}

// Whether the voters that `node` knows are, or may be, a majority.
void count_voters_of(const SurveyedNode& node, Running& running) {
  std::size_t voters = 0, up = 0, maybe_up = 0;
  for (const auto& member : node.member("members")) {
    if (!member.value.find("voter").boolean().value_or(false)) continue;
    const auto id = member.value.find("id").uint64();
    ++voters;
    if (id && answers(running, *id)) ++up;
    if (id && may_run(running, *id, member.value.find("address").string().value_or(""))) ++maybe_up;
  }
  running.is_majority |= 2 * up > voters;
  running.may_be_majority |= 2 * maybe_up > voters;
}

}  // namespace

Result<std::vector<Survivor>> open_survivors(io::Loop& loop,
                                             const std::vector<std::string>& directories) {
  std::vector<Survivor> survivors;
  for (const std::string& directory : directories) {
    auto survivor = open_survivor(loop, directory);
    if (!survivor) return Error{fmt::format("{}: {}", escaped(directory), survivor.error().what)};
    survivors.push_back(std::move(survivor.value()));
    // One store at a time: the other ones are only described.
    Survivor& latest = survivors.back();
    for (Survivor& other : survivors)
      if (&other != &latest && other.survey.store != nullptr)
        (is_better(latest, other) ? other : latest).survey.store.reset();
    const Id128 first = survivors.front().survey.configuration().cluster_id;
    const Id128 here = latest.survey.configuration().cluster_id;
    if (here != first)
      return Error{fmt::format("{} belongs to cluster {}, but {} to cluster {}", escaped(directory),
                               to_hex(here), escaped(survivors.front().directory), to_hex(first))};
  }
  return survivors;
}

void sort_survivors(std::vector<Survivor>& survivors) {
  std::stable_sort(survivors.begin(), survivors.end(), is_better);
}

Running find_running(const std::vector<Survivor>& survivors) {
  std::vector<HostPort> named;
  for (const Survivor& survivor : survivors)
    for (const raft::Member& member : survivor.survey.configuration().members)
      if (auto server = parse_endpoint(member.address)) named.push_back(std::move(server.value()));
  ClusterSurvey survey(kPatience);
  survey.ask(named);
  const std::string cluster = to_hex(survivors.front().survey.configuration().cluster_id);
  Running running;
  // An older directory may name a server under the scheme that it had then.
  const auto answers_at = [&survey](const HostPort& server) {
    return std::any_of(survey.nodes().begin(), survey.nodes().end(), [&](const auto& node) {
      return node->reachable && node->server.host == server.host &&
             node->server.port == server.port;
    });
  };
  for (const auto& node : survey.nodes()) {
    if (node->accepted && !answers_at(node->server))
      running.strangers.push_back({node->server, node->detail});
    if (node->reachable && node->member("starting").boolean() == true)
      running.strangers.push_back({node->server, "it still reads its log"});
    if (!node->reachable || node->cluster != cluster || !node->id) continue;
    running.answering.push_back({*node->id, node->server.url()});
    running.has_leader |= node->member("role").string() == "leader";
  }
  for (const auto& node : survey.nodes())
    if (node->id && answers(running, *node->id)) count_voters_of(*node, running);
  for (const Survivor& survivor : survivors)
    running.may_be_majority |=
        raft::Quorum(survivor.survey.configuration().members).holds([&](const auto& member) {
          return may_run(running, member.node.value, member.address);
        });
  return running;
}

std::string describe(const std::vector<Survivor>& survivors, const Running& running) {
  const raft::Configuration& last = survivors.front().survey.configuration();
  std::vector<Row> rows;
  for (const Survivor& survivor : survivors) rows.push_back(row_of(survivor, survivors));
  std::string out = fmt::format("Cluster {}\n", to_hex(last.cluster_id));
  out += make_table({"DIRECTORY", "NODE", "INCARNATION", "TERM", "LAST", "COMMITTED", "SNAPSHOT",
                     "REVISION", "DIGEST", "WRITTEN", "NOTE"},
                    rows);
  out += describe_loss(survivors);
  for (const Running::Server& server : running.answering)
    out += fmt::format(
        "Node {} ({}) runs, but is part of no majority: stop it, and give its directory, too.\n",
        server.node, escaped(server.address));
  for (const Running::Stranger& stranger : running.strangers)
    out += fmt::format("Something listens at {}, but does not say what it is: {}.\n",
                       stranger.server.url(), escaped(stranger.detail));
  return out;
}

Result<std::string> begin_new_cluster(io::Loop& loop, Survivor& survivor) {
  Id128 cluster;
  while (cluster.is_none()) cluster = crypto::random128();
  const Id128 old = survivor.survey.configuration().cluster_id;
  node::begin_new_cluster(survivor.survey, cluster, raft::Incarnation(crypto::random_id()));
  io::UvFs& fs = *survivor.fs;
  const std::string folder(storage::kSuccessor);
  if (auto removed = fs.remove_folder(folder); !removed && removed.error().code != ENOENT)
    return std::move(removed).error();
  const std::string directory = (files::path(survivor.directory) / folder).string();
  if (auto written = WriteRun(loop, survivor.survey).run(directory); !written)
    return std::move(written).error();
  if (auto good = verify(loop, directory, survivor.survey); !good) return std::move(good).error();
  const auto ordered = storage::order_set_aside(
      fs, fs, utc_stamp(std::time(nullptr)),
      fmt::format("vesper recover made this directory of cluster {} the start of cluster {}",
                  to_hex(old), to_hex(cluster)),
      storage::Successor::prepared);
  if (!ordered) return ordered.error();
  if (auto done = storage::complete_set_aside(fs, fs); !done) return done.error();
  return (files::path(survivor.directory) / *ordered).string();
}

}  // namespace vesper::app
