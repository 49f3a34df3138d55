// Small files of a data directory beside the log and the snapshots, each written as a whole: which
// starts of other servers were seen, that the state has diverged, that the directory is an older
// copy, that the server has left its cluster, that clients need tokens, that the directory is to be
// set aside. docs/disk-format.md has the grammar:
//
//   "VESPRREC"   u32 version   u32 length   content   u64 checksum, seeded with that of the name
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "storage/fs.hpp"

namespace vesper::storage {

inline constexpr std::string_view kBootNumber = "boot-number";  // storage/boot_number.hpp
inline constexpr std::string_view kBootsSeen = "boots-seen";    // storage/boots_seen.hpp
inline constexpr std::string_view kDiverged = "diverged";       // content: why, for people
inline constexpr std::string_view kLeft = "left";               // content: the cluster, in hex
// The directory is known to be an older copy. Content: its incarnation in hex, a space, and why.
inline constexpr std::string_view kOlderCopy = "older-copy";
// The cluster of the data that was set aside, in hex. It stays in the directory: while the log is
// empty, the server founds no other cluster, whatever its list says.
inline constexpr std::string_view kCluster = "cluster";
// The hash of the secret of a new root token (vesper recover --reset-root). Empty: it was made.
inline constexpr std::string_view kRootReset = "root-reset";
// Not empty: clients needed tokens when this was written.
inline constexpr std::string_view kTokensNeeded = "tokens-needed";
inline constexpr std::string_view kSetAsideOrder = "set-aside";     // storage/set_aside.hpp
inline constexpr std::string_view kRecordTemporary = "record.tmp";  // removed at every start
// The largest content of a record. It bounds what is read before it is verified.
inline constexpr std::size_t kMaxRecordContent = 64u << 10;

// True for the names above.
bool is_record(std::string_view name);

// The byte form of a record of this name, and back. The error says what is wrong with the bytes.
std::string encode_record(std::string_view name, std::string_view content);
Result<std::string> decode_record(std::string_view name, std::string_view bytes);

// Boot only; blocks. Nothing if there is no such file. An error names the file.
Result<std::optional<std::string>> read_record(Fs& fs, std::string_view name);
// Boot only, or while no job is in flight; blocks. Once it returns, the record is durable. A crash
// leaves the old record or the new one.
Result<void> write_record(Fs& fs, std::string_view name, std::string_view content);
// The same for a file of another form.
Result<void> replace_file(Fs& fs, std::string_view name, std::string_view bytes);

// Writes records while the server runs, one job at a time.
class RecordWriter {
 public:
  // `fs` must outlive this.
  explicit RecordWriter(Fs& fs) : fs_(fs) {}

  // Queues a record. Replaces one of this name that is still queued. Returns at once.
  void write(std::string_view name, std::string content) {
    queue_[std::string(name)] = std::move(content);
  }
  // Starts the next job, if one is due. Called once per turn.
  void flush(Instant now);

  static bool owns(JobId job) { return job.owner == JobOwner::records; }
  // Requires owns(done.id). If there is no space, the record is written again later. Any other
  // error is fatal, as in Wal::on_done.
  Result<void> on_done(const JobDone& done, Instant now);
  // True if every record is durable.
  bool is_idle() const { return queue_.empty() && step_ == Step::none; }

 private:
  enum class Step : std::uint8_t { none, create, write, rename };
  void submit(Step step, Work work);

  Fs& fs_;
  std::map<std::string, std::string> queue_;  // name -> content
  std::string name_, content_;                // of the record that is being written
  Step step_ = Step::none;                    // of the job in flight
  std::uint64_t last_job_ = 0;
  Instant retry_at_;
};

}  // namespace vesper::storage
