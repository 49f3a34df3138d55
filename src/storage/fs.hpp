// What storage asks of a file system, and nothing more: one flat directory, blocking calls for
// boot, jobs at run time. Two implementations: io/uv_fs (a real directory) and the tests' MemFs,
// which forgets unsynced bytes. No format and no policy in here.
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

// The part that submits a job and gets its completion.
enum class JobOwner : std::uint8_t { log, snapshots };
// `number` is chosen by the owner, unique among its jobs of one process.
struct JobId {
  JobOwner owner = JobOwner::log;
  std::uint64_t number = 0;

  bool operator==(const JobId&) const = default;
};

// Writes `parts`, one after the other, at `offset` of an existing file, then syncs its data
// (pwritev until all is written, fdatasync). `parts` may be more than IOV_MAX, none is empty.
// Done: the bytes survive a power loss. Failed: what the file holds there is unknown.
struct Append {
  std::string file;
  std::uint64_t offset = 0;
  std::vector<SharedBytes> parts;
};

// Writes `size` zero bytes at `offset` (real blocks: written, not a hole), then syncs file and size
// (fsync). Offset 0 creates the file, or empties the one of that name, and syncs the directory
// after that. A file is allocated in slices, so that an append can come between two of them.
//
// A slice for which there is no space removes the whole file, because a part of it is of no use and
// other programs may need the bytes.
struct Allocate {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  // Beside this file so much has to stay free: bytes, and a percentage of the file system. Else
  // there is no space (ENOSPC). 0 and 0: the last byte may be taken.
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

// Renames (replacing `to` where it exists), then syncs the directory. An implementation that keeps
// descriptors open by name lets them follow.
struct Rename {
  std::string from;
  std::string to;
};

// Removes the file, then syncs the directory. A file that is not there is no error.
struct Remove {
  std::string file;
};

// Reads `length` bytes at `offset` into JobDone::bytes; fewer only where the file ends before.
struct Read {
  std::string file;
  std::uint64_t offset = 0;
  std::size_t length = 0;
};

// A unit of work for another thread. It owns its bytes; the thread reads them but neither copies
// nor drops slices (base/bytes.hpp): a job is destroyed on the loop's thread.
using Work = std::variant<Append, Allocate, Rename, Remove, Read>;
struct Job {
  JobId id;
  Work work;
};

// How a job ended. It is delivered on the loop's thread, never from inside submit(); how (an event
// in the mailbox, a call of the simulator) is between the implementation and who made it.
struct JobDone {
  JobId id;
  Result<void> result;  // Error::code is the errno, Error::what names call and file
  Duration took;        // from submit to completion, the queue of the thread pool included
  SharedBytes bytes;    // of a Read
  // Of an Allocate that failed: what the file system has free, the removed file included; kUnknown
  // if it does not say.
  static constexpr std::uint64_t kUnknown = UINT64_MAX;
  std::uint64_t free_bytes = kUnknown;
};

// The one failure of a job that is not fatal if nothing has been promised yet. EFBIG is the limit
// on the size of a file that a process may have (ulimit -f).
inline bool out_of_space(int code) {
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

// One directory. Names have no slash in them. Whoever made an Fs has made sure that the directory
// exists and holds its lock until the Fs is destroyed.
//
// Errors carry the errno in `code` and name the call and the full path in `what`.
class Fs {
 public:
  virtual ~Fs() = default;

  // Boot only: these block. What they change is durable only after the sync named with them.

  // Names of all regular files, in byte order. Subdirectories are left out.
  virtual Result<std::vector<std::string>> list() = 0;
  // Length in bytes.
  virtual Result<std::uint64_t> size(const std::string& file) = 0;
  // `length` bytes at `offset`; fewer only where the file ends before. Callers bound `length`.
  virtual Result<SharedBytes> read(const std::string& file, std::uint64_t offset,
                                   std::size_t length) = 0;
  // Writes at `offset`, wholly; creates the file where it is missing. Durable after sync(), the
  // name of a new file after sync_directory().
  virtual Result<void> write(const std::string& file, std::uint64_t offset,
                             std::string_view bytes) = 0;
  virtual Result<void> sync(const std::string& file) = 0;  // fsync: data and size
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& file) = 0;
  virtual Result<void> sync_directory() = 0;

  // Run time. Jobs may be carried out in any order and at the same time: two jobs of which one
  // needs the other's effect are never in flight together. Does not block; failures arrive in
  // JobDone.
  virtual void submit(Job job) = 0;

 protected:
  Fs() = default;
  Fs(const Fs&) = default;
  Fs& operator=(const Fs&) = default;
};

}  // namespace vesper::storage
