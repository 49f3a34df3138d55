#include "storage/wal.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "storage/wal_recovery.hpp"

namespace vesper::storage {
namespace {

// Every segment reserves one sector, so that its last frame can be sealed, too.
constexpr std::uint64_t kSealReserve = kSector;
// A further reserve that entries cannot use, so that a node with a full disk can still write terms,
// votes and cuts.
constexpr std::uint64_t kHardStateReserve = 64u << 10;

std::uint64_t reserve_of(std::uint64_t segment_bytes) {
  return std::min(kHardStateReserve, segment_bytes / 8 / kSector * kSector);
}

// The size of a segment that has `bytes` available in addition to its reserve.
std::uint64_t with_reserve(std::uint64_t bytes) {
  return bytes + std::min(kHardStateReserve, sectors(bytes / 7));
}

std::uint64_t minus(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

void check_options(const WalOptions& options) {
  VESPER_ASSERT(options.segment_bytes % kSector == 0);
  VESPER_ASSERT(options.first_segment_bytes % kSector == 0);
  VESPER_ASSERT(options.slice_bytes % kSector == 0);
  VESPER_ASSERT(options.slice_bytes > 0);
  // Head, one frame without entries, seal.
  VESPER_ASSERT(options.segment_bytes >= 3 * kSector);
  VESPER_ASSERT(options.first_segment_bytes >= 3 * kSector);
  VESPER_ASSERT(kFrameHeader + options.frame_bytes <= kMaxFrame);
}

}  // namespace

Result<std::unique_ptr<Wal>> Wal::open(Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                                       WalOptions options, RecoveredLog& out,
                                       raft::Index unneeded) {
  check_options(options);
  Result<WalTail> tail = recover_wal(fs, self, fresh, options, out, unneeded);
  if (!tail) return std::move(tail).error();
  return std::unique_ptr<Wal>(new Wal(fs, options, self, *tail));
}

Wal::Wal(Fs& fs, WalOptions options, raft::ServerId self, WalTail tail)
    : fs_(fs),
      options_(options),
      self_(self),
      incarnation_(tail.incarnation),
      segment_(tail.segment),
      written_(tail.state),
      durable_base_(tail.state.base.index),
      files_(tail.files.begin(), tail.files.end()),
      chain_(tail.chain),
      sealed_(tail.sealed),
      persisted_(tail.state.write_number),
      persisted_hard_state_(tail.state.write_number) {
  queue_.number = written_.write_number;
  queue_.hard_state = written_.hard_state;
  queue_.commit_index = written_.commit_index;
  queue_.keep_through = written_.last_index;
  queue_.base = written_.base;
  spare_.target = options_.segment_bytes;
  stats_.segments = files_.size();
  for (const SegmentFile& file : files_) stats_.file_bytes += file.bytes;
}

void Wal::write(raft::Write write) {
  VESPER_ASSERT(write.number == queue_.number.next());
  VESPER_ASSERT(write.hard_state.current_term >= queue_.hard_state.current_term);
  VESPER_ASSERT(write.base.index >= queue_.base.index);
  VESPER_ASSERT(write.keep_through >= write.base.index);
  const bool cuts = write.base.index > queue_.base.index;
  const bool afresh = cuts && write.keep_through == write.base.index;
  VESPER_ASSERT(afresh ||
                write.keep_through.value <= queue_.keep_through.value + queue_.entries.size());
  VESPER_ASSERT(write.keep_through >= queue_.commit_index);
  const raft::Index last(write.keep_through.value + write.entries.size());
  VESPER_ASSERT(write.commit_index >= queue_.commit_index);
  VESPER_ASSERT(write.commit_index <= last);

  // Entries that a later Write cuts need not reach the disk.
  const std::uint64_t kept =
      afresh ? 0 : minus(write.keep_through.value, queue_.keep_through.value);
  while (queue_.entries.size() > kept) {
    queued_bytes_ -= queue_.entries.back().bytes.size();
    queue_.entries.pop_back();
  }
  queue_.keep_through =
      afresh ? write.keep_through : std::min(queue_.keep_through, write.keep_through);
  while (!queue_.boundaries.empty() &&
         (afresh || queue_.boundaries.back().last_index > write.keep_through))
    queue_.boundaries.pop_back();
  if (cuts) queue_.base = write.base;

  raft::Index expected = write.keep_through.next();
  for (raft::Entry& entry : write.entries) {
    VESPER_ASSERT(entry.index == expected);
    expected = expected.next();
    queued_bytes_ += entry.bytes.size();
    queue_.entries.push_back(std::move(entry));
  }
  queue_.number = write.number;
  queue_.hard_state = write.hard_state;
  queue_.commit_index = write.commit_index;
  if (!queue_.boundaries.empty() && queue_.boundaries.back().last_index == last)
    queue_.boundaries.back().number = write.number;
  else queue_.boundaries.push_back({last, write.number});
}

void Wal::flush(Instant now) {
  if (failed_ || in_flight_) return;
  if (!quiet_since_) quiet_since_ = now;
  if (publish_due_) {
    submit(Doing::publish, Rename{std::string(kSpareName), segment_name(next_segment_.number)});
    return;
  }
  const bool may_allocate = now >= retry_at_;
  const bool may_make_ahead = now >= (disk_full_ ? retry_at_ : ahead_at_);
  // A frame may wait for one removal, but not for as many as a long log leaves.
  const bool removes = removal_due();
  if (removes && !(has_queued() && last_ == Doing::remove)) return start_removal();
  if (has_queued()) {
    // A spare that lags behind the use of the segment goes first. But no frame waits for two slices
    // unless it needs them.
    if (may_make_ahead && last_ != Doing::slice && spare_lags()) start_slice(Need::ahead);
    else if (start_frame()) return;
    else if (removes) start_removal();
    else if (may_allocate) start_slice(Need::now);
    return;
  }
  const bool quiet = finishing_ || now >= *quiet_since_ + options_.seal_after;
  if (quiet && seal_wanted()) append_seal();
  else if (finishing_ && spare_.allocated > 0)
    submit(Doing::drop, Remove{std::string(kSpareName)});  // other programs may need the bytes
  else if (may_make_ahead && !finishing_ && spare_wanted() && (quiet || spare_lags()))
    start_slice(Need::ahead);
}

Instant Wal::deadline() const {
  if (failed_ || in_flight_) return kNever;
  if (!quiet_since_ || publish_due_ || removal_due()) return Instant{};
  if (has_queued()) return fits_here() || fits_next() || goes_ahead() ? Instant{} : retry_at_;
  const Instant quiet_at = finishing_ ? Instant{} : *quiet_since_ + options_.seal_after;
  Instant at = seal_wanted() || (finishing_ && spare_.allocated > 0) ? quiet_at : kNever;
  if (!finishing_ && spare_wanted())
    at = std::min(
        at, std::max(disk_full_ ? retry_at_ : ahead_at_, spare_lags() ? Instant{} : quiet_at));
  return at;
}

bool Wal::idle() const {
  if (in_flight_ || publish_due_ || has_queued()) return false;
  return !finishing_ || (!seal_wanted() && spare_.allocated == 0);
}

// The room for one frame, including padding, in this segment and in the next one (0 until the spare
// is ready).
std::uint64_t Wal::room_here(FrameLoad load) const {
  const std::uint64_t reserve = load == FrameLoad::entries ? reserve_of(segment_.bytes) : 0;
  return minus(segment_.bytes, segment_.offset + kSealReserve + reserve);
}

std::uint64_t Wal::room_next(FrameLoad load) const {
  const std::uint64_t reserve = load == FrameLoad::entries ? reserve_of(spare_.target) : 0;
  return spare_ready() ? minus(spare_.allocated, kSector + kSealReserve + reserve) : 0;
}

std::uint64_t Wal::room() const {
  return minus(room_here(FrameLoad::entries) + room_next(FrameLoad::entries), queued_bytes_);
}

Wal::FrameLoad Wal::queued_load() const {
  return queue_.entries.empty() ? FrameLoad::no_entries : FrameLoad::entries;
}

bool Wal::fits_here() const {
  return next_fits(room_here(queued_load()));
}

bool Wal::fits_next() const {
  return next_fits(room_next(queued_load()));
}

// True if a frame without entries may be written on a full disk. Only entries wait for space. A new
// term or vote does not, nor does a cut, which frees space.
bool Wal::goes_ahead() const {
  const bool news = cut_waits() || !(queue_.hard_state == written_.hard_state);
  return disk_full_ && news && sectors(frame_lead()) <= room_here(FrameLoad::no_entries);
}

bool Wal::next_fits(std::uint64_t frame_room) const {
  const std::uint64_t least = queue_.entries.empty() ? 0 : queue_.entries.front().bytes.size();
  return sectors(frame_lead() + least) <= frame_room;
}

bool Wal::seal_wanted() const {
  return !sealed_ && segment_.offset + kSector <= segment_.bytes;
}

// A small segment made at boot needs a successor soon, a normal one once a quarter of it is used.
bool Wal::spare_wanted() const {
  return !spare_ready() &&
         (segment_.bytes < options_.segment_bytes || segment_.offset >= segment_.bytes / 4);
}

// True if the allocated share of the spare is below the used share of the last three quarters of
// the segment. At this pace the spare is ready just before it is needed. After a full disk the
// spare always lags, so that the node soon reports that it has space again.
bool Wal::spare_lags() const {
  const std::uint64_t begin = segment_.bytes / 4;
  if (spare_ready()) return false;
  if (disk_full_) return true;
  if (segment_.offset < begin) return false;
  const std::uint64_t end = segment_.bytes - reserve_of(segment_.bytes);
  return (segment_.offset - begin) * spare_.target >= spare_.allocated * (end - begin);
}

// How many entries from the front of the queue fit in one frame of at most `frame_room` bytes on
// disk.
std::size_t Wal::entries_that_fit(std::uint64_t frame_room) const {
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (const raft::Entry& entry : queue_.entries) {
    bytes += entry.bytes.size();
    if (sectors(frame_lead() + bytes) > frame_room) break;
    if (count > 0 && bytes > options_.frame_bytes) break;
    ++count;
  }
  return count;
}

// True if the log needs no entry of the oldest segment. The oldest one is removed first, so that no
// crash leaves a gap.
bool Wal::removal_due() const {
  return !finishing_ && files_.size() >= 2 && files_[1].before <= durable_base_;
}

// Submits the next frame of the queue. Returns false if the frame has to wait for the spare.
bool Wal::start_frame() {
  if (fits_here()) {
    append_frame(entries_that_fit(room_here(FrameLoad::entries)), Into::this_segment);
    return true;
  }
  if (fits_next()) {
    append_frame(entries_that_fit(room_next(FrameLoad::entries)), Into::next_segment);
    return true;
  }
  if (goes_ahead()) {
    append_frame(0, Into::this_segment);
    return true;
  }
  // The next segment must hold at least the next entry, however large.
  spare_.target = std::max(spare_.target, with_reserve(kSector + least_frame() + kSealReserve));
  return false;
}

std::uint64_t Wal::least_frame() const {
  const std::uint64_t least = queue_.entries.empty() ? 0 : queue_.entries.front().bytes.size();
  return sectors(kFrameHeader + kCutBytes + least);
}

// The smallest acceptable size of the next segment.
std::uint64_t Wal::small_segment() const {
  return std::max(std::min(options_.first_segment_bytes, options_.segment_bytes),
                  with_reserve(kSector + least_frame() + kSealReserve));
}

// Submits the first `count` entries of the queue with the newest hard state. The frame goes into
// this segment, or, in one write with the head, into the next one.
void Wal::append_frame(std::size_t count, Into into) {
  const bool rotate = into == Into::next_segment;
  std::vector<raft::Entry> entries;
  entries.reserve(count);
  in_flight_bytes_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    in_flight_bytes_ += queue_.entries.front().bytes.size();
    entries.push_back(std::move(queue_.entries.front()));
    queue_.entries.pop_front();
  }
  queued_bytes_ -= in_flight_bytes_;

  std::string lead;
  if (rotate) {
    SegmentHead head{self_,
                     incarnation_,
                     segment_.number + 1,
                     spare_.allocated,
                     1,
                     segment_.offset,
                     chain_,
                     written_,
                     0};
    next_before_ = written_.last_index;
    lead = encode_head(head);
    chain_ = head.checksum;
    next_segment_ = {head.number, head.file_bytes, kSector};
  }
  WalSegment& segment = rotate ? next_segment_ : segment_;

  FrameHeader frame;
  const bool cuts = cut_waits();
  if (cuts) frame.kind = FrameKind::cut;
  frame.segment = segment.number;
  frame.offset = segment.offset;
  frame.previous = chain_;
  frame.durable_number = persisted_;
  frame.keep_through = queue_.keep_through;
  const raft::Index last(queue_.keep_through.value + count);
  // The hard state may reach the disk before Writes that were queued earlier, because it promises
  // nothing about them. The commit index must not refer to entries that are not on the disk yet.
  frame.hard_state = queue_.hard_state;
  frame.commit_index = std::min(queue_.commit_index, last);
  frame.write_number = written_.write_number;
  while (!queue_.boundaries.empty() && queue_.boundaries.front().last_index <= last) {
    frame.write_number = queue_.boundaries.front().number;
    queue_.boundaries.pop_front();
  }
  VESPER_ASSERT(queue_.boundaries.empty() == queue_.entries.empty());
  if (frame.keep_through == raft::Index(0))
    written_.cluster_id = entries.empty() ? Id128{} : cluster_id_of(entries.front());
  if (cuts) written_.cluster_id = queue_.base.cluster_id;

  Append job{rotate ? std::string(kSpareName) : segment_name(segment.number),
             rotate ? 0 : segment.offset,
             encode_frame(lead, frame, entries, incarnation_, cuts ? &queue_.base : nullptr)};
  segment.offset += sectors(frame.length);
  chain_ = frame.checksum;
  queue_.keep_through = last;
  written_.write_number = frame.write_number;
  written_.hard_state = frame.hard_state;
  written_.commit_index = frame.commit_index;
  written_.last_index = last;
  if (cuts) written_.base = queue_.base;
  in_flight_hard_state_ = queue_.number;
  in_flight_entries_ = count;
  in_flight_seal_ = false;
  submit(rotate ? Doing::rotate : Doing::append, std::move(job));
}

void Wal::append_seal() {
  FrameHeader frame;
  frame.kind = FrameKind::seal;
  frame.segment = segment_.number;
  frame.offset = segment_.offset;
  frame.previous = chain_;
  frame.write_number = written_.write_number;
  frame.durable_number = persisted_;
  frame.hard_state = written_.hard_state;
  frame.commit_index = written_.commit_index;
  frame.keep_through = written_.last_index;
  Append job{segment_name(segment_.number), segment_.offset,
             encode_frame({}, frame, {}, incarnation_)};
  segment_.offset += kSector;
  chain_ = frame.checksum;
  in_flight_bytes_ = 0;
  in_flight_entries_ = 0;
  in_flight_seal_ = true;
  submit(Doing::append, std::move(job));
}

void Wal::start_removal() {
  submit(Doing::remove, Remove{segment_name(files_.front().number)});
}

// A segment that is made ahead of need has its full size, and leaves space for other programs. A
// segment that is needed now takes the space there is, and is small if there is little.
void Wal::start_slice(Need need) {
  slice_need_ = disk_full_ ? Need::now : need;
  const bool ahead = slice_need_ == Need::ahead;
  if (spare_.allocated == 0 && scarce_)
    spare_.target = ahead ? options_.segment_bytes : small_segment();
  Allocate slice{std::string(kSpareName), spare_.allocated,
                 std::min(options_.slice_bytes, spare_.target - spare_.allocated)};
  if (ahead) {
    slice.leave_bytes = options_.leave_spares * spare_.target;
    slice.leave_percent = options_.leave_percent;
  }
  submit(Doing::slice, std::move(slice));
}

void Wal::submit(Doing doing, Work work) {
  VESPER_ASSERT(!in_flight_);
  if (const Append* append = std::get_if<Append>(&work))
    for (const SharedBytes& part : append->parts) stats_.bytes += part.size();
  in_flight_ = JobId{JobOwner::log, ++last_job_};
  doing_ = doing;
  fs_.submit(Job{*in_flight_, std::move(work)});
}

Result<void> Wal::on_done(const JobDone& done, Instant now) {
  VESPER_ASSERT(done.id == in_flight_);
  const Doing doing = std::exchange(doing_, Doing::nothing);
  in_flight_.reset();
  last_ = doing;
  if (doing == Doing::slice) return slice_done(done, now);
  if (!done.result) {
    failed_ = true;
    return Error{fmt::format("cannot write the log: {}; a retry is not safe, because what the disk "
                             "holds now is unknown",
                             done.result.error().what),
                 done.result.error().code};
  }
  switch (doing) {
    case Doing::append:
      in_flight_took_ = done.took;
      frame_durable(now);
      break;
    case Doing::rotate:
      in_flight_took_ = done.took;
      publish_due_ = true;
      break;
    case Doing::publish:
      in_flight_took_ = in_flight_took_ + done.took;
      publish_due_ = false;
      segment_ = next_segment_;
      files_.push_back({segment_.number, segment_.bytes, next_before_});
      spare_ = {0, options_.segment_bytes};
      ++stats_.segments;
      frame_durable(now);
      break;
    case Doing::remove:
      stats_.file_bytes -= files_.front().bytes;
      --stats_.segments;
      files_.pop_front();
      break;
    case Doing::drop:
      stats_.file_bytes -= spare_.allocated;
      spare_ = {0, options_.segment_bytes};
      break;
    case Doing::slice:
    case Doing::nothing: VESPER_UNREACHABLE();
  }
  return {};
}

void Wal::frame_durable(Instant now) {
  persisted_ = written_.write_number;  // one frame is in flight at a time
  durable_base_ = written_.base.index;
  sealed_ = in_flight_seal_;
  in_flight_bytes_ = 0;
  if (in_flight_seal_) {
    ++stats_.seals;
    return;
  }
  persisted_hard_state_ = in_flight_hard_state_;
  quiet_since_ = now;
  ++stats_.frames;
  stats_.entries += in_flight_entries_;
  stats_.last_entries = in_flight_entries_;
  stats_.last_took = in_flight_took_;
}

// Lack of space is not fatal, because no promise depends on the spare. Every other error is fatal.
Result<void> Wal::slice_done(const JobDone& done, Instant now) {
  if (done.result) {
    const std::uint64_t size = std::min(options_.slice_bytes, spare_.target - spare_.allocated);
    spare_.allocated += size;
    stats_.file_bytes += size;
    if (slice_need_ == Need::ahead) scarce_ = false;
    if (!spare_ready()) return {};
    if (disk_full_) log::info("there is space for the next segment again -> continuing");
    disk_full_ = false;
    return {};
  }
  const Error& error = done.result.error();
  if (out_of_space(error.code)) {
    slice_refused(done, now);
    return {};
  }
  failed_ = true;
  return Error{fmt::format("cannot create the next segment of the log: {}", error.what),
               error.code};
}

// The failed allocation has removed the spare. The disk counts as full if a small segment does not
// fit either: because the attempt failed, or by the free bytes that the file system reports.
void Wal::slice_refused(const JobDone& done, Instant now) {
  const bool was_small = spare_.target <= small_segment();
  stats_.file_bytes -= spare_.allocated;
  spare_ = {0, options_.segment_bytes};
  ahead_at_ = now + options_.retry_after;
  if (done.free_bytes >= small_segment() && !(slice_need_ == Need::now && was_small)) {
    if (!scarce_)
      log::info(
          "little space is left ({}) -> creating segments of the log only when they are needed",
          done.result.error().what);
    scarce_ = true;
    return;
  }
  if (!disk_full_)
    log::warn("no space for the next segment of the log ({}) -> retrying every {} ms",
              done.result.error().what, options_.retry_after.ms());
  scarce_ = true;
  disk_full_ = true;
  retry_at_ = now + options_.retry_after;
}

}  // namespace vesper::storage
