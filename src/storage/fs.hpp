// The file system interface that storage needs: one flat directory, with blocking calls for boot
// and jobs for run time. It has two implementations: io/uv_fs (a real directory) and the tests'
// MemFs, which loses unsynced bytes in a crash. File formats are in wal_format.hpp and
// snapshot_format.hpp.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace vesper::storage {

// The part of storage that submits a job and receives its completion.
enum class JobOwner : std::uint8_t { log, snapshots, records };
// The owner chooses `number`, unique among its jobs of one process.
struct JobId {
  JobOwner owner = JobOwner::log;
  std::uint64_t number = 0;

  bool operator==(const JobId&) const = default;
};

// Writes `parts` in order at `offset` of an existing file, then syncs its data (pwritev until
// everything is written, then fdatasync). There may be more parts than IOV_MAX; no part is empty.
// On success the bytes survive a power loss. On failure the content of the file at that place is
// unknown.
struct Append {
  std::string file;
  std::uint64_t offset = 0;
  std::vector<SharedBytes> parts;
};

// Writes `size` zero bytes at `offset` (written blocks, not a hole), then syncs file and size
// (fsync). Offset 0 creates the file, or empties an existing one, and then also syncs the
// directory. A file is allocated in slices, so that an append can run between two of them.
//
// If there is no space for a slice, the whole file is removed, because a partial file is useless
// and other programs may need the bytes.
struct Allocate {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  // How much space the file system must have free, counting the part of this file that is already
  // allocated: bytes, and a percentage of the file system. Otherwise the job fails with ENOSPC.
  // With 0 and 0 it may use the last byte.
  std::uint64_t leave_bytes = 0;
  std::uint64_t leave_percent = 0;
};

// Bytes of a file system.
struct Space {
  std::uint64_t free = 0;
  std::uint64_t total = 0;
};

inline bool has_space(const Allocate& wanted, Space space) {
  const std::uint64_t share = space.total / 100 * wanted.leave_percent;
  return space.free >= wanted.size &&
         space.free + wanted.offset >= std::max(wanted.leave_bytes, share);
}

// Renames (replacing `to` if it exists), then syncs the directory. An implementation that caches
// descriptors by name must keep them valid.
struct Rename {
  std::string from;
  std::string to;
};

// Removes the file, then syncs the directory. A missing file is not an error.
struct Remove {
  std::string file;
};

// Reads `length` bytes at `offset` into JobDone::bytes. Fewer only if the file ends before.
struct Read {
  std::string file;
  std::uint64_t offset = 0;
  std::size_t length = 0;
};

// A unit of work for another thread. A job owns its bytes. The other thread reads them, but neither
// copies nor drops slices (base/bytes.hpp), so a job is destroyed on the loop's thread.
using Work = std::variant<Append, Allocate, Rename, Remove, Read>;
struct Job {
  JobId id;
  Work work;
};

// The completion of a job. It is delivered on the loop's thread, never from inside submit(). The
// implementation and its creator agree on the means (an event in the mailbox, or a call of the
// simulator).
struct JobDone {
  JobId id;
  Result<void> result;  // Error::code is the errno, Error::what names call and file
  Duration took;        // from submit to completion, including the queue of the thread pool
  SharedBytes bytes;    // of a Read
  // After a failed Allocate: the free bytes of the file system, including the removed file.
  // kUnknown if the file system does not tell.
  static constexpr std::uint64_t kUnknown = UINT64_MAX;
  std::uint64_t free_bytes = kUnknown;
};

// True for the only kind of failure that is not fatal, provided that nothing has been promised yet.
// EFBIG is the limit on the file size of a process (ulimit -f).
inline bool out_of_space(int code) {
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

// One directory. Names contain no slash. The creator of an Fs has made sure that the directory
// exists, and holds its lock until the Fs is destroyed.
//
// Errors carry the errno in `code`, and name the call and the full path in `what`.
class Fs {
 public:
  virtual ~Fs() = default;

  // The following calls block and are for boot only. Their changes are durable only after the sync
  // named with them.

  // Names of all regular files, in byte order, without subdirectories.
  virtual Result<std::vector<std::string>> list() = 0;
  // Length in bytes.
  virtual Result<std::uint64_t> size(const std::string& file) = 0;
  // `length` bytes at `offset`. Fewer only if the file ends before. Callers must bound `length`.
  virtual Result<SharedBytes> read(const std::string& file, std::uint64_t offset,
                                   std::size_t length) = 0;
  // Writes all bytes at `offset`, and creates a missing file. The bytes are durable after sync(),
  // the name of a new file after sync_directory().
  virtual Result<void> write(const std::string& file, std::uint64_t offset,
                             std::string_view bytes) = 0;
  virtual Result<void> sync(const std::string& file) = 0;  // fsync: data and size
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& file) = 0;
  virtual Result<void> sync_directory() = 0;

  // For run time. Jobs may run in any order and concurrently, so two jobs are never in flight
  // together if one needs the effect of the other. Does not block. Failures arrive in JobDone.
  virtual void submit(Job job) = 0;

 protected:
  Fs() = default;
  Fs(const Fs&) = default;
  Fs& operator=(const Fs&) = default;
};

// Folders inside the directory of an Fs, for files that are set aside (storage/set_aside.hpp). Boot
// only, or while no job is in flight; blocks. Errors as in Fs.
class Folders {
 public:
  // Names of all folders, in byte order.
  virtual Result<std::vector<std::string>> folders() = 0;
  // An existing folder is not an error. Its name is durable after sync_directory().
  virtual Result<void> make_folder(const std::string& folder) = 0;
  // Moves a file of the directory into the folder, under the name `as`. Durable after sync_folder()
  // and sync_directory(); before, a crash leaves the file in either place.
  virtual Result<void> move_into(const std::string& file, const std::string& folder,
                                 const std::string& as) = 0;
  // Moves a file of the folder into the directory, under its own name. Durability as before.
  virtual Result<void> move_out(const std::string& file, const std::string& folder) = 0;
  // Names of the regular files in the folder, in byte order.
  virtual Result<std::vector<std::string>> files_in(const std::string& folder) = 0;
  virtual Result<void> sync_folder(const std::string& folder) = 0;
  // Removes the folder and the files in it. A crash may leave some of them.
  virtual Result<void> remove_folder(const std::string& folder) = 0;

 protected:
  Folders() = default;
  ~Folders() = default;
  Folders(const Folders&) = default;
  Folders& operator=(const Folders&) = default;
};

}  // namespace vesper::storage
