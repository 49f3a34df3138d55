// One server of a world: its disk and clock survive, its process is rebuilt at each start. It
// stands between the production node and the world on every port, so that the process can die
// between any two effects of one turn.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/node.hpp"
#include "support/mem_fs.hpp"

namespace vesper::sim {

class World;

// A host's monotonic clock: its own speed, and jumps forward. The world's time is nobody's.
class Clock {
 public:
  Clock() = default;
  Clock(Instant world, Instant local, std::int64_t rate)
      : world_(world), local_(local), rate_(rate) {}

  Instant read(Instant world) const { return local_ + scaled(world - world_, rate_, kMillion); }
  // The first instant at which it reads `local` or more.
  Instant when(Instant local) const {
    if (local == kNever) return kNever;
    return world_ + scaled(local - local_, kMillion, rate_) + nanoseconds(1);
  }
  // How long the world takes for so much of its time.
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

// What was posted to a server, as far as it proves something to a checker once its turn comes.
struct Overheard {
  enum class Kind { lease_asked, heartbeat_answered, index_told } kind;
  std::size_t from = 0;
  raft::Term term;
  std::uint64_t round = 0;
  Duration lease;
  Instant followed;  // index_told: a majority had followed the leader up to then
};

struct Host final : node::Transport, node::Clients, storage::Fs {
  World* world = nullptr;
  raft::ServerId id;
  Clock clock;
  test::MemFs disk{1};
  // Of its life.
  bool wiped = false;          // its disk is not the one that is registered, or it is no voter
  bool gone_for_good = false;  // its data was refused
  raft::Incarnation born;      // of its directory; 0: empty
  Id128 holds;                 // the cluster whose Bootstrap entry is durable on its disk
  std::size_t listed = 0;      // servers in the list that its process was started with
  bool outside = false;        // not of the core that has to go on at the end
  bool hangs = false;          // for minutes: nothing brings it back
  // Of its disk.
  Instant stalled_until;
  Duration slow_disk;    // each job takes up to so much longer
  bool failing = false;  // a call has been told to fail
  bool full = false;
  // Of its processor.
  Duration slowness;
  // Of its process.
  std::uint64_t boot = 0;  // 0: down
  bool paused = false;
  bool stopping = false;
  bool turn_scheduled = false, disk_scheduled = false;
  Instant wake_at = kNever;  // in the world's time
  std::vector<node::Input> while_paused;
  std::vector<Overheard> overheard;
  bool job_failed = false;  // of its disk, in this process
  raft::Index offered;      // the newest snapshot that a leader asked about
  raft::Index emptied;      // it led, and its log ended here, where its snapshot does
  raft::HardState voted;    // as of the end of its last turn
  std::vector<std::pair<node::Ticket, node::ClientReply>> replies;  // of the turn under way
  static constexpr std::int64_t kUnlimited = INT64_MAX;
  std::int64_t effects_left = kUnlimited;
  std::uint64_t turns = 0;
  // E12: it follows a leader of this term that it heard lately, when its turn begins; 0: it does
  // not. Or it has been told that a leader's process is gone, or hands over.
  raft::Term sticks_to;
  bool excused = false;
  // As a leader, at the end of its last turn, with as much uncommitted as it may have.
  struct Full {
    raft::Term term;  // 0: not so
    raft::Index commit, last;
  };
  Full full_log;
  node::RecoveredNode recovery;  // its log and snapshots
  std::unique_ptr<node::Node> node;
  node::Counters counted;  // of which the tally knows
  raft::Term campaigned;   // likewise

  bool up() const { return boot != 0; }
  bool serves() const { return boot != 0 && !paused; }
  std::size_t number() const { return id.value; }
  raft::Incarnation incarnation() const { return recovery.incarnation; }

  // The ports.
  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) override;
  void reply(const node::Ticket& ticket, node::ClientReply reply) override;
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
  // False once the process has died in the turn under way: nothing leaves any more.
  bool lives() {
    if (effects_left == kUnlimited) return true;
    if (effects_left <= 0) return false;
    --effects_left;
    return true;
  }
};

}  // namespace vesper::sim
