// The write-ahead log: takes raft::Writes in order, makes them durable one frame at a time, and
// returns them after a restart. This part decides when bytes go to disk. Their format is in
// wal_format.hpp, reading them back in wal_recovery.hpp. It reads no clock: callers pass the time.
//
// At run time, on the loop's thread: write() queues, flush() starts at most one job, and on_done()
// takes its completion. All Writes that are queued while a job is in flight become one frame (group
// commit).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "raft/types.hpp"
#include "storage/fs.hpp"
#include "storage/wal_format.hpp"

namespace vesper::storage {

// The defaults are for production; tests use small values. Byte counts are multiples of 512.
struct WalOptions {
  std::uint64_t segment_bytes = 16u << 20;  // of a normal segment
  // The size of a segment for which a caller waits: at boot, and when there is no space for a
  // normal one ahead of need.
  std::uint64_t first_segment_bytes = 1u << 20;
  std::uint64_t slice_bytes = 1u << 20;  // zero-filled in one job; an append waits for it
  std::uint64_t frame_bytes = 2u << 20;  // of entries in one frame; a larger entry goes alone
  Duration seal_after = milliseconds(100);
  Duration retry_after = seconds(1);  // when the disk is full, or space is scarce
  // The free space that allocating a segment ahead of need requires: a share of the disk, and a
  // multiple of the segment's size.
  std::uint64_t leave_percent = 10;
  std::uint64_t leave_spares = 2;
};

// What recovery found in a data directory.
struct RecoveredLog {
  raft::HardState hard_state;
  raft::Index commit_index;          // never above the last entry
  std::vector<raft::Entry> entries;  // after kept.index, without gaps
  raft::LogBase base;                // where the log begins
  // Where `entries` begin: at `base`, or at the index given to open().
  raft::LogBase kept;
  raft::WriteNumber last_write;    // the next Write has the next number
  Id128 cluster_id;                // of the Bootstrap entry; none in a log without one
  raft::Incarnation incarnation;   // of the directory
  std::vector<std::string> notes;  // log lines: what was found and what was done about it
};

// Since open(). Counters only rise. The last_ fields describe the newest frame counted in `frames`.
struct WalStats {
  std::uint64_t frames = 0;  // durable, without seals; each cost one fdatasync
  std::uint64_t seals = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // written by appends, including padding and heads
  Duration last_took;       // write and fdatasync; in a rotation also the rename and its fsync
  std::uint64_t last_entries = 0;
  std::uint64_t segments = 0;    // files without the spare; falls when the log is cut
  std::uint64_t file_bytes = 0;  // of all files, including the spare
};

class Wal {
 public:
  // Recovers the log in the directory. In an empty directory, creates the first segment with the
  // incarnation `fresh` (random, not 0). Boot only; blocks. An error says which file, where in it
  // and what is wrong. After an error nothing has been changed, unless creating a new segment
  // failed. `fs` must outlive the Wal. Entries up to `unneeded` are verified by their frame but not
  // returned. If the log ends before `unneeded`, RecoveredLog::kept is its end, and its term may be
  // 0 (not known).
  static Result<std::unique_ptr<Wal>> open(Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                                           WalOptions options, RecoveredLog& out,
                                           raft::Index unneeded = raft::Index(0));

  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // Queues a Write; no I/O. Numbers continue from RecoveredLog::last_write without gaps. Terms and
  // commit index never fall, and committed entries are never cut (§5.3: a leader never overwrites a
  // committed entry).
  void write(raft::Write write);

  // Starts the next job if none is in flight and one is due: a frame, a seal, a slice of the spare,
  // or a removal. Called once per turn of the loop and at deadline().
  void flush(Instant now);

  // Takes the completion of the job that flush() submitted. An error is fatal and never retried:
  // after a failed write or fsync the content of the disk is unknown, and the page cache does not
  // show it.
  Result<void> on_done(const JobDone& done, Instant now);

  // Begins the shutdown: queued Writes are written, the last frame is sealed at once, and the spare
  // is removed.
  void finish() { finishing_ = true; }

  // Every Write up to and including this one survives a power loss.
  raft::WriteNumber persisted() const { return persisted_; }
  // The same for term and vote. It is ahead of persisted() while entries wait for space.
  raft::WriteNumber persisted_hard_state() const { return persisted_hard_state_; }
  // True if nothing is queued or in flight. After finish() the last frame must also be sealed, and
  // the spare removed.
  bool idle() const;
  // When flush() is due even if nothing happens. kNever while a job is in flight.
  Instant deadline() const;
  // Where the log begins after any crash. Files before it are no longer needed.
  raft::Index durable_base() const { return durable_base_; }
  // Bytes of entries queued or in flight.
  std::uint64_t queued_bytes() const { return queued_bytes_ + in_flight_bytes_; }
  // True if not even a small next segment can be allocated. room() says how much is left. flush()
  // tries again every WalOptions::retry_after.
  bool disk_full() const { return disk_full_; }
  // Bytes of entries that can still be taken without a new segment, in addition to those queued.
  std::uint64_t room() const;
  const WalStats& stats() const { return stats_; }

 private:
  // The queued Writes, merged: the hard state and commit index of the last one, and the entries
  // that survived later truncations.
  struct Queue {
    raft::WriteNumber number;  // of the last Write queued
    raft::HardState hard_state;
    raft::Index commit_index;
    raft::Index keep_through;  // entries[0].index == keep_through + 1
    raft::LogBase base;
    std::deque<raft::Entry> entries;
    // {last index, number}, both rising: Write `number` is durable once the entries up to that
    // index are. If a later Write cut the entries of a Write, the boundary of the later one covers
    // both.
    struct Boundary {
      raft::Index last_index;
      raft::WriteNumber number;
    };
    std::deque<Boundary> boundaries;
  };
  // The zero-filled file that becomes the next segment.
  struct Spare {
    std::uint64_t allocated = 0;
    std::uint64_t target = 0;
  };
  enum class Doing : std::uint8_t { nothing, append, rotate, publish, slice, remove, drop };
  // Why a slice of the spare is allocated: a frame waits for it (or would, if the disk is full), or
  // one will soon.
  enum class Need : std::uint8_t { now, ahead };
  // A frame without entries may use the space that a segment reserves.
  enum class FrameLoad : std::uint8_t { entries, no_entries };
  enum class Into : std::uint8_t { this_segment, next_segment };

  Wal(Fs& fs, WalOptions options, raft::ServerId self, WalTail tail);

  bool has_queued() const { return queue_.number > written_.write_number || cut_waits(); }
  std::uint64_t room_here(FrameLoad load) const;
  std::uint64_t room_next(FrameLoad load) const;
  FrameLoad queued_load() const;
  bool next_fits(std::uint64_t frame_room) const;
  bool fits_here() const;
  bool fits_next() const;
  bool goes_ahead() const;
  std::size_t entries_that_fit(std::uint64_t frame_room) const;
  bool start_frame();
  void append_frame(std::size_t count, Into into);
  void append_seal();
  bool seal_wanted() const;
  bool spare_ready() const { return spare_.allocated == spare_.target; }
  bool spare_wanted() const;
  bool spare_lags() const;
  bool removal_due() const;
  // A cut refers to entries that the log already has. If frames lag, the cut waits for them.
  bool cut_waits() const {
    return queue_.base.index > written_.base.index && queue_.base.index <= queue_.keep_through;
  }
  std::size_t frame_lead() const { return kFrameHeader + (cut_waits() ? kCutBytes : 0); }
  std::uint64_t least_frame() const;
  std::uint64_t small_segment() const;
  void start_slice(Need need);
  void start_removal();
  void submit(Doing doing, Work work);
  void frame_durable(Instant now);
  Result<void> slice_done(const JobDone& done, Instant now);
  void slice_refused(const JobDone& done, Instant now);

  Fs& fs_;
  const WalOptions options_;
  const raft::ServerId self_;
  const raft::Incarnation incarnation_;

  WalSegment segment_;  // where frames are appended
  WalState written_;    // after the last frame submitted
  raft::Index durable_base_;
  std::deque<SegmentFile> files_;  // in order, segment_ last
  std::uint64_t chain_;            // checksum of the last frame (or head) submitted
  bool sealed_;                    // the last frame is a seal, or the segment has no frame yet
  raft::WriteNumber persisted_;
  raft::WriteNumber persisted_hard_state_;
  raft::WriteNumber in_flight_hard_state_;  // the last Write whose term and vote are in the frame
  Queue queue_;
  Spare spare_;

  Doing doing_ = Doing::nothing;
  Doing last_ = Doing::nothing;     // the previous job
  bool publish_due_ = false;        // the spare holds a synced frame and is to be renamed
  WalSegment next_segment_;         // the spare as a segment, after the rename
  raft::Index next_before_;         // the last entry of the log before that segment
  std::optional<JobId> in_flight_;  // its completion goes to on_done()
  std::uint64_t last_job_ = 0;
  std::uint64_t queued_bytes_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t in_flight_entries_ = 0;
  bool in_flight_seal_ = false;
  Duration in_flight_took_;

  std::optional<Instant> quiet_since_;  // unset before the first flush()
  Need slice_need_ = Need::ahead;       // of the slice in flight
  Instant ahead_at_;                    // no slice is allocated ahead of need before this
  Instant retry_at_;                    // nor any other before this, while the disk is full
  bool scarce_ = false;                 // there is no space for a spare ahead of need
  bool disk_full_ = false;
  bool finishing_ = false;
  bool failed_ = false;
  WalStats stats_;
};

}  // namespace vesper::storage
