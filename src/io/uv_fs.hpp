// storage::Fs over a real directory: blocking calls with POSIX, and jobs on libuv's thread pool,
// one at a time. The storage library defines the file formats.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/delegate.hpp"
#include "io/loop.hpp"
#include "io/timer.hpp"
#include "storage/fs.hpp"

namespace vesper::io {

class UvFs final : public storage::Fs, public storage::Folders {
 public:
  // Creates the directory and its parents if they are missing, and locks it. Errors are worded for
  // the user: not writable, not a directory, locked by another process. `done` is called for each
  // job, on the loop's thread.
  static Result<std::unique_ptr<UvFs>> open(Loop& loop, const std::string& directory,
                                            Delegate<void, storage::JobDone> done);
  // Requires idle().
  ~UvFs() override;
  UvFs(const UvFs&) = delete;
  UvFs& operator=(const UvFs&) = delete;

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

  Result<std::vector<std::string>> folders() override;
  Result<void> make_folder(const std::string& folder) override;
  Result<void> move_into(const std::string& file, const std::string& folder,
                         const std::string& as) override;
  Result<void> move_out(const std::string& file, const std::string& folder) override;
  Result<std::vector<std::string>> files_in(const std::string& folder) override;
  Result<void> sync_folder(const std::string& folder) override;
  Result<void> remove_folder(const std::string& folder) override;

  void submit(storage::Job job) override;
  bool idle() const { return queue_.empty(); }
  // Every Append that is submitted from now on takes so much longer: for experiments.
  void set_delay(Duration delay) { delay_ = delay; }

 private:
  UvFs(Loop& loop, std::string directory, int directory_fd, Delegate<void, storage::JobDone> done);

  enum class IfMissing : std::uint8_t { fail, create };
  enum class Kind : std::uint8_t { files, folders };

  Result<std::vector<std::string>> names(const std::string& folder, Kind kind) const;

  // The descriptor of a file. Opens and locks the file on first use.
  Result<int> descriptor(const std::string& file, IfMissing if_missing);
  void forget(const std::string& file);
  Error failure(const char* call, const std::string& file) const;

  // Runs on a thread of the pool. The loop's thread must not touch the members below meanwhile.
  void work();
  void worked();
  Result<void> carry_out(const storage::Append& append);
  Result<void> carry_out(const storage::Allocate& allocate);
  Result<void> write_zeros(const storage::Allocate& allocate);
  std::optional<storage::Space> space() const;
  Result<void> carry_out(const storage::Rename& rename);
  Result<void> carry_out(const storage::Remove& remove);
  Result<void> carry_out(const storage::Read& wanted);

  struct Submitted {
    storage::Job job;
    Instant at;
    Duration delay;
  };

  Loop& loop_;
  const std::string directory_;
  const int directory_fd_;  // holds the flock while it is open
  const Delegate<void, storage::JobDone> done_;
  std::vector<std::pair<std::string, int>> open_files_;    // a few, most recently opened last
  std::deque<Submitted> queue_;                            // the front is in progress
  Duration delay_;                                         // of each Append
  SharedBytes read_bytes_;                                 // result of a Read
  std::uint64_t free_bytes_ = storage::JobDone::kUnknown;  // set by an Allocate
  Result<void> outcome_;  // of the front, between work() and worked()
  Background background_;
};

}  // namespace vesper::io
