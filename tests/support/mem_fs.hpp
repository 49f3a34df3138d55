// A file system in memory that behaves as badly as a real one may: what was not synced is forgotten
// at a power loss, or half of it, in any order; directory entries apart from contents. It fails,
// fills up and flips bits on request. Deterministic by its seed; a copy is an independent world.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "storage/fs.hpp"

namespace vesper::test {

class MemFs final : public storage::Fs, public storage::Folders {
 public:
  // Which unsynced sectors and directory changes survive a loss of power.
  enum class Loss : std::uint8_t {
    all,    // only what was synced is left
    none,   // everything had just reached the disk
    random  // each unsynced sector is old, new, or (rarely) new up to some byte; of the directory
            // changes some prefix happened
  };
  // The calls that can fail. Jobs are made of the same calls.
  enum class Call : std::uint8_t { list, size, read, write, sync, rename, remove, sync_directory };

  explicit MemFs(std::uint64_t seed = 1) : random_(seed) {}
  MemFs(const MemFs&) = default;
  MemFs& operator=(const MemFs&) = default;

  // storage::Fs
  Result<std::vector<std::string>> list() override;
  Result<std::uint64_t> size(const std::string& file) override;
  Result<SharedBytes> read(const std::string& file, std::uint64_t offset,
                           std::size_t length) override;
  Result<void> write(const std::string& file, std::uint64_t offset,
                     std::string_view bytes) override;
  Result<void> sync(const std::string& file) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& file) override;
  Result<void> sync_directory() override;
  void submit(storage::Job job) override { jobs_.push_back(std::move(job)); }

  // storage::Folders. A file in a folder has the name FOLDER/FILE in content(), put() and so on.
  // All directories are synced together, but at a power loss their changes are lost in any prefix.
  Result<std::vector<std::string>> folders() override;
  Result<void> make_folder(const std::string& folder) override;
  Result<void> move_into(const std::string& file, const std::string& folder,
                         const std::string& as) override;
  Result<void> move_out(const std::string& file, const std::string& folder) override;
  Result<std::vector<std::string>> files_in(const std::string& folder) override;
  Result<void> sync_folder(const std::string& folder) override;
  Result<void> remove_folder(const std::string& folder) override;

  // Carries out one waiting job, any of them. Nothing when none waits or the power is off.
  std::optional<storage::JobDone> run_one();
  std::size_t jobs() const { return jobs_.size(); }
  // The work of the oldest waiting job. Requires jobs() > 0.
  const storage::Job& next_job() const { return jobs_.front(); }

  // Changes so far: writes, syncs, renames, removals. A crash test counts them in one run and then
  // cuts the power before each of them in turn.
  std::uint64_t steps() const { return steps_; }
  // Cuts the power just before step `step` (counted from 0): it and all later calls fail.
  void cut_power_at(std::uint64_t step) { cut_at_ = step; }
  bool powered() const { return powered_; }

  // kill -9 of the process, at the step where the power was cut or between two: waiting jobs are
  // gone; the page cache stays and is still unsynced.
  void kill() {
    jobs_.clear();
    powered_ = true;
    cut_at_ = UINT64_MAX;
  }
  // Power loss and power back. Waiting jobs are gone.
  void lose_power(Loss loss);

  // The `nth` call of this kind from now on (0: the next) fails once.
  void fail(Call call, std::uint64_t nth, int error);
  void mend() { failures_.clear(); }  // nothing fails any more
  // As Linux does: a failed sync leaves its pages in the cache as if they were on the disk, and
  // the next sync of them succeeds and does nothing.
  void lie_after_failed_syncs() { lies_ = true; }
  // Bytes of all files; a write that needs more fails with ENOSPC, half done.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  // As `ulimit -f`: a write ends at this offset of a file; one that begins there, or behind it,
  // fails with EFBIG, whether the file is that long already or not.
  void set_file_limit(std::uint64_t bytes) { file_limit_ = bytes; }

  std::uint64_t used() const;
  storage::Space space() const;

  // Editing the files of a stopped node. These are synced at once.
  bool exists(const std::string& file) const { return names_.contains(file); }
  std::string content(const std::string& file) const;
  void put(const std::string& file, std::string_view bytes);
  void drop(const std::string& file);
  void flip_bit(const std::string& file, std::uint64_t offset, unsigned bit);

 private:
  using InodeId = std::uint64_t;
  struct Inode {
    std::string now;
    std::string durable;
    std::set<std::uint64_t> dirty;  // sectors in which now and durable may differ
  };
  using Names = std::map<std::string, InodeId>;
  struct DirectoryChange {
    std::string removed;  // empty: none
    std::string added;    // empty: none
    InodeId inode = 0;
  };

  Result<void> enter(Call call, const std::string& file, bool changes);
  Result<void> run(const storage::Append& job);
  Result<void> run(const storage::Allocate& job);
  Result<void> allocate(const storage::Allocate& job);
  Result<void> run(const storage::Rename& job);
  Result<void> run(const storage::Remove& job);
  Result<void> run(const storage::Read& job);
  Result<void> empty_file(const std::string& file);
  void change_directory(DirectoryChange change);
  static void apply(Names& names, const DirectoryChange& change);
  void settle(Inode& inode, Loss loss);

  Prng random_;
  std::map<InodeId, Inode> inodes_;
  InodeId next_inode_ = 1;
  Names names_;
  Names durable_names_;
  std::vector<DirectoryChange> unsynced_changes_;
  std::deque<storage::Job> jobs_;
  SharedBytes read_bytes_;  // of the job under way
  std::uint64_t free_bytes_ = storage::JobDone::kUnknown;
  std::uint64_t steps_ = 0;
  std::uint64_t cut_at_ = UINT64_MAX;
  bool powered_ = true;
  std::uint64_t capacity_ = UINT64_MAX;
  std::uint64_t file_limit_ = UINT64_MAX;
  struct Failure {
    std::uint64_t after;
    int error;
  };
  std::map<Call, Failure> failures_;
  bool lies_ = false;
};

}  // namespace vesper::test
