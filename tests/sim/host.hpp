// One machine of a world. Its disk and clock survive; its process is rebuilt at each start. It
// stands between the production node and the world on every port, so that the process can die
// between any two effects of one turn.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/node.hpp"
#include "storage/boots_seen.hpp"
#include "support/mem_fs.hpp"

namespace vesper::sim {

class World;

// A host's monotonic clock, with its own speed and jumps forward. No host knows the world's time.
class Clock {
 public:
  Clock() = default;
  Clock(Instant world, Instant local, std::int64_t rate)
      : world_(world), local_(local), rate_(rate) {}

  Instant read(Instant world) const { return local_ + scaled(world - world_, rate_, kMillion); }
  // The first instant in the world's time at which this clock reads `local` or more.
  Instant when(Instant local) const {
    if (local == kNever) return kNever;
    return world_ + scaled(local - local_, kMillion, rate_) + nanoseconds(1);
  }
  // How much time of the world passes while this clock counts `local`.
  Duration in_world(Duration local) const { return scaled(local, kMillion, rate_); }
  void jump(Duration forward) { local_ = local_ + forward; }

 private:
  static constexpr std::int64_t kMillion = 1'000'000;
  static Duration scaled(Duration d, std::int64_t by, std::int64_t over) {
    __extension__ using Wide = __int128;
    return nanoseconds(static_cast<std::int64_t>(Wide{d.ns} * by / over));
  }
  Instant world_, local_;
  std::int64_t rate_ = kMillion;
};

// A message that was posted to a server and proves something to a checker once its turn handles it.
struct Overheard {
  enum class Kind { leader_lease_asked, heartbeat_answered, index_told } kind;
  std::size_t from = 0;  // the drive of its sender
  raft::Term term;
  std::uint64_t round = 0;
  Duration leader_lease;
  Instant followed;  // index_told: a majority followed the leader at this instant
};

// A disk that is not in its machine.
struct ShelvedDisk {
  test::MemFs disk{1};
  raft::ServerId id;
  std::size_t drive = 0;
  raft::Incarnation born;
  Id128 holds;
  std::uint64_t starts = 0;
  storage::BootsSeen boots_seen;
};

// What a disk held earlier, as a snapshot of its machine keeps it.
struct OlderDisk {
  test::MemFs disk{1};
  raft::ServerId id;
  raft::Incarnation born;
  Id128 holds;
  std::uint64_t starts = 0;
  storage::BootsSeen boots_seen;
};

struct Host final : node::Transport, node::Clients, storage::Fs {
  World* world = nullptr;
  std::size_t place = 0;  // among the machines of the world
  std::size_t drive = 0;  // its disk, among all that there ever were: what the checkers judge
  raft::ServerId id;      // its place in the list; kNoServer: it is started with --join
  Clock clock;
  test::MemFs disk{1};
  // For the whole life of the server.
  bool gone_for_good = false;        // its data was refused
  bool retired = false;              // it has left the cluster; its disk is about to be emptied
  std::optional<ShelvedDisk> shelf;  // a disk that it has lost, and that may come back
  raft::Incarnation born;            // of its data directory; 0: empty
  Id128 holds;  // the cluster of the Bootstrap entry that is durable on its disk
  // Only in worlds with older copies. The records on the disk that server/boot_memory keeps.
  std::uint64_t starts = 0;  // of its data directory
  storage::BootsSeen boots_seen, boots_seen_on_disk;
  std::optional<OlderDisk> copy;              // to go back to
  bool goes_back = false;                     // its disk is an older copy
  bool told = false;                          // and its server knows it
  std::uint32_t level = raft::kFeatureLevel;  // of the build on the machine
  std::size_t listed = 0;  // servers in the list that its process was started with
  bool outside = false;    // not one of the servers that have to serve at the end
  bool hangs = false;      // for minutes: no other fault or restart ends it
  // The disk.
  Instant stalled_until;
  Duration slow_disk;    // each job takes up to this much longer
  bool failing = false;  // a call is set to fail
  bool full = false;
  // The processor.
  Duration slowness;
  // The process.
  std::uint64_t boot = 0;                // 0: down
  std::vector<node::Contact> contacts;   // the servers that it talks to, as its node says
  std::vector<node::Contact> strangers;  // diallers that its node does not know yet
  bool paused = false;
  bool stopping = false;
  bool turn_scheduled = false, disk_scheduled = false;
  Instant wake_at = kNever;  // in the world's time
  std::vector<node::Input> while_paused;
  std::vector<Overheard> overheard;
  bool job_failed = false;  // a disk job failed in this process
  raft::Index offered;      // the newest snapshot that a leader asked about
  raft::Index emptied;      // as leader, its log ended here, at its snapshot
  raft::Index changing;     // as leader, its configuration that was last seen uncommitted
  raft::HardState voted;    // at the end of its last turn
  std::vector<std::pair<node::Ticket, node::ClientReply>> replies;  // of the current turn
  static constexpr std::int64_t kUnlimited = INT64_MAX;
  std::int64_t effects_left = kUnlimited;
  std::uint64_t turns = 0;
  // E12: the term of the leader that it has heard lately, at the beginning of its turn; 0: none.
  // excused: it has learned that a leader's process is gone or transfers leadership.
  raft::Term sticks_to;
  bool excused = false;
  // Set if it leads at the end of its last turn and has as many uncommitted bytes as allowed.
  struct Full {
    raft::Term term;  // 0: not set
    raft::Index commit, last;
  };
  Full full_log;
  node::RecoveredNode recovery;  // its log and snapshots
  std::unique_ptr<node::Node> node;
  node::Counters counted;  // the counters that the tally has already added
  raft::Term campaigned;   // the last term that the tally has counted

  bool up() const { return boot != 0; }
  bool serves() const { return boot != 0 && !paused; }
  std::size_t number() const { return place; }
  bool joins() const { return id == raft::kNoServer; }
  raft::Incarnation incarnation() const { return recovery.incarnation; }

  // The ports.
  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) override;
  void follow(const std::vector<node::Contact>& contacts) override;
  void reply(const node::Ticket& ticket, node::ClientReply reply) override;
  void wake(const node::Ticket& ticket) override;
  void submit(storage::Job job) override;
  Result<std::vector<std::string>> list() override { return disk.list(); }
  Result<std::uint64_t> size(const std::string& file) override { return disk.size(file); }
  Result<SharedBytes> read(const std::string& file, std::uint64_t offset,
                           std::size_t length) override {
    return disk.read(file, offset, length);
  }
  Result<void> write(const std::string& file, std::uint64_t offset,
                     std::string_view bytes) override {
    return disk.write(file, offset, bytes);
  }
  Result<void> sync(const std::string& file) override { return disk.sync(file); }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return disk.rename(from, to);
  }
  Result<void> remove(const std::string& file) override { return disk.remove(file); }
  Result<void> sync_directory() override { return disk.sync_directory(); }

 private:
  // False once the process has died in the current turn: no more effects leave.
  bool lives() {
    if (effects_left == kUnlimited) return true;
    if (effects_left <= 0) return false;
    --effects_left;
    return true;
  }
};

}  // namespace vesper::sim
