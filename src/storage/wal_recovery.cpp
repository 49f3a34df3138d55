#include "storage/wal_recovery.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/checksum.hpp"
#include "storage/file_window.hpp"
#include "storage/frame_rules.hpp"
#include "storage/new_segment.hpp"
#include "storage/records.hpp"
#include "storage/snapshot_files.hpp"

namespace vesper::storage {
namespace {

// Earlier builds locked a file of this name. It has no meaning now.
constexpr std::string_view kOldLock = "LOCK";

bool all_zero(std::string_view bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == '\0' && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

struct Segment {
  std::string name;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  SegmentHead head;
};

Error damage(const Segment& segment, std::uint64_t offset, std::string_view what) {
  return Error{fmt::format("{} at offset {}: damaged: {}", segment.name, offset, what)};
}

class LogReader {
 public:
  LogReader(Fs& fs, raft::ServerId self, RecoveredLog& out, raft::Index unneeded)
      : fs_(fs), self_(self), out_(out), unneeded_(unneeded) {}

  Result<WalTail> run(raft::Incarnation fresh, const WalOptions& options);

 private:
  // Whether the entries that were read before an index stay.
  enum class Before : std::uint8_t { stays, is_forgotten };

  Result<void> list();
  Result<void> read_heads();
  Result<void> read_segment(const Segment& segment, const Segment* next);
  Result<void> check_head(const Segment& segment);
  Result<void> check_end(const Segment& segment, const Segment& next, FileWindow& window);
  Result<void> judge_tail(const Segment& segment, FileWindow& window);
  Result<std::optional<FrameHeader>> read_frame(const Segment& segment, FileWindow& window);
  Result<void> apply(const Segment& segment, const FrameHeader& frame, std::string_view entries);
  Result<void> check_beginning();
  void forget_after(raft::Index index, Before before);
  Result<void> apply_entries(const Segment& segment, const FrameHeader& frame,
                             std::string_view bytes);
  Result<void> pass_over_entries(const Segment& segment, const FrameHeader& frame,
                                 std::string_view bytes);
  Result<void> check_entry(const Segment& segment, const FrameHeader& frame,
                           const raft::Entry& entry, raft::Index expected, raft::Term before) const;
  raft::Index last_index() const {
    return raft::Index(start_.value - 1 + skipped_ + out_.entries.size());
  }
  raft::Term last_term() const {
    return out_.entries.empty() ? skipped_term_ : out_.entries.back().term;
  }
  Result<void> begin_fresh(raft::Incarnation fresh, const WalOptions& options);
  Result<void> write_last_frame_again();
  Result<void> go_on(const WalOptions& options);

  Fs& fs_;
  const raft::ServerId self_;
  RecoveredLog& out_;
  const raft::Index unneeded_;
  std::vector<Segment> segments_;
  std::vector<std::string> temporaries_;  // unfinished files
  std::vector<raft::Index> snapshots_;
  // The state of the log up to the current position.
  WalState state_;
  // Entries from start_ on have been read. The first skipped_ of them, all at or below unneeded_,
  // were not kept. The others are in out_.entries.
  raft::Index start_{1};
  std::uint64_t skipped_ = 0;
  raft::Term skipped_term_;  // of the last skipped entry; 0: not known
  std::uint64_t offset_ = 0;
  std::uint64_t last_frame_ = 0;  // offset of the last frame in the current segment; 0: none yet
  std::uint64_t chain_ = 0;
  std::uint64_t frames_here_ = 0;
  bool sealed_ = true;
  bool torn_ = false;
  WalTail tail_;
};

Result<void> LogReader::list() {
  Result<std::vector<std::string>> names = fs_.list();
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (const auto number = parse_segment_name(name)) {
      Result<std::uint64_t> size = fs_.size(name);
      if (!size) return std::move(size).error();
      segments_.push_back(Segment{name, *number, *size, {}});
    } else if (name == kSpareName || name == kRecordTemporary || is_snapshot_temporary(name)) {
      temporaries_.push_back(name);
    } else if (const auto index = parse_snapshot_name(name)) {
      snapshots_.push_back(*index);
    } else if (name != kOldLock && !is_record(name)) {
      out_.notes.push_back(fmt::format(
          "{} in the data directory is not a file of the log -> ignoring it", escaped(name)));
    }
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.number < b.number; });
  if (segments_.empty() && !snapshots_.empty())
    return Error{
        fmt::format("{} is missing, but there are snapshots: without its log, this node does not "
                    "know how it voted",
                    segment_name(1))};
  std::uint64_t expected = segments_.empty() ? 1 : segments_.front().number;
  for (const Segment& segment : segments_) {
    if (segment.number != expected)
      return Error{fmt::format("{} is missing, but {} exists: the log has a gap",
                               segment_name(expected), segment.name)};
    ++expected;
  }
  return {};
}

Result<void> LogReader::read_heads() {
  for (Segment& segment : segments_) {
    FileWindow window(fs_, segment.name, std::min<std::uint64_t>(segment.size, kSector));
    Result<std::string_view> sector = window.view(0, kSector);
    if (!sector) return std::move(sector).error();
    Result<SegmentHead> head = decode_head(*sector);
    if (!head) return Error{fmt::format("{} at offset 0: {}", segment.name, head.error().what)};
    segment.head = *head;
    if (head->server != self_)
      return Error{
          fmt::format("{} belongs to node {}, but this is node {}: wrong id or wrong directory",
                      segment.name, head->server.value, self_.value)};
    if (head->number != segment.number)
      return Error{fmt::format("{} says that it is segment {}: the file was renamed or copied",
                               segment.name, segment_name(head->number))};
    const Segment& first = segments_.front();
    if (head->incarnation != first.head.incarnation)
      return Error{fmt::format(
          "{} has incarnation {}, but {} has incarnation {}: the directory holds files of two logs",
          segment.name, to_hex(head->incarnation.value), first.name,
          to_hex(first.head.incarnation.value))};
  }
  return {};
}

// The head repeats the state of the log before its segment, so that there is a second copy of the
// vote.
Result<void> LogReader::check_head(const Segment& segment) {
  const WalState& said = segment.head.state;
  if (segment.number == segments_.front().number && segment.number > 1) {
    // The entries before it are in a snapshot. check_beginning() verifies that.
    state_ = said;
    start_ = said.last_index.next();
    return {};
  }
  if (said.cluster_id != state_.cluster_id)
    return Error{fmt::format("{} belongs to cluster {}, but the log before it to cluster {}",
                             segment.name, to_hex(said.cluster_id), to_hex(state_.cluster_id))};
  if (said.write_number != state_.write_number || !(said.hard_state == state_.hard_state) ||
      said.commit_index != state_.commit_index || said.last_index != state_.last_index ||
      said.base.index != state_.base.index || said.base.term != state_.base.term)
    return damage(segment, 0, "its head contradicts the log before it");
  if (segment.number == 1 &&
      (segment.head.previous_end != 0 || segment.head.previous_checksum != 0))
    return damage(segment, 0, "the first segment claims to follow another one");
  return {};
}

Result<void> LogReader::read_segment(const Segment& segment, const Segment* next) {
  if (auto checked = check_head(segment); !checked) return checked;
  FileWindow window(fs_, segment.name, segment.size);
  offset_ = kSector;
  last_frame_ = 0;
  chain_ = segment.head.checksum;
  frames_here_ = 0;
  sealed_ = true;
  while (next == nullptr || offset_ < next->head.previous_end) {
    Result<std::optional<FrameHeader>> frame = read_frame(segment, window);
    if (!frame) return std::move(frame).error();
    if (!*frame) break;
    last_frame_ = offset_;
    offset_ += sectors((*frame)->length);
    chain_ = (*frame)->checksum;
    sealed_ = (*frame)->kind == FrameKind::seal;
    ++frames_here_;
  }
  return next != nullptr ? check_end(segment, *next, window) : judge_tail(segment, window);
}

// Reads a valid frame at offset_ and applies it to the log. Returns nothing if there is none. Fails
// if a frame is valid by itself but contradicts its position.
Result<std::optional<FrameHeader>> LogReader::read_frame(const Segment& segment,
                                                         FileWindow& window) {
  if (offset_ >= window.size()) return std::optional<FrameHeader>();
  Result<std::string_view> bytes = window.view(offset_, kFrameHeader);
  if (!bytes) return std::move(bytes).error();
  std::optional<FrameHeader> frame =
      decode_frame_header(*bytes, segment.head.incarnation, segment.number, offset_);
  if (!frame) return frame;
  if (frame->previous != chain_)
    return damage(segment, offset_, "the frame does not follow the one before it");
  if (frame->length > window.size() - offset_) return std::optional<FrameHeader>();
  bytes = window.view(offset_, frame->length);
  if (!bytes) return std::move(bytes).error();
  const std::string_view entries = bytes->substr(kFrameHeader);
  if (frame->entries_checksum != checksum64(entries, segment.head.incarnation.value))
    return std::optional<FrameHeader>();
  if (auto applied = apply(segment, *frame, entries); !applied) return std::move(applied).error();
  return frame;
}

Result<void> LogReader::apply(const Segment& segment, const FrameHeader& frame,
                              std::string_view entries) {
  raft::LogBase base = state_.base;
  if (frame.kind == FrameKind::cut) {
    if (entries.size() < kCutBytes) return damage(segment, offset_, "it is too short for its kind");
    base = decode_cut(entries);
    entries.remove_prefix(kCutBytes);
  }
  if (const char* wrong = inconsistency(frame, base, state_))
    return damage(segment, offset_, wrong);
  const bool restarts = frame.kind == FrameKind::cut && frame.keep_through == base.index;
  forget_after(frame.keep_through, restarts ? Before::is_forgotten : Before::stays);
  if (frame.kind == FrameKind::cut) state_.cluster_id = base.cluster_id;
  state_.base = {base.index, base.term, {}};
  if (auto applied = apply_entries(segment, frame, entries); !applied) return applied;
  state_.write_number = frame.write_number;
  state_.hard_state = frame.hard_state;
  state_.commit_index = frame.commit_index;
  state_.last_index = last_index();
  if (state_.last_index.value == 0) state_.cluster_id = {};
  return {};
}

// Ends the log that was read so far with `index`. If the part before is forgotten, the log begins
// after `index`.
void LogReader::forget_after(raft::Index index, Before before) {
  if (before == Before::is_forgotten || index < start_) start_ = index.next();
  const std::uint64_t left = index.next().value - start_.value;
  if (left < skipped_) {
    skipped_ = left;
    skipped_term_ = raft::Term(0);
  }
  out_.entries.resize(static_cast<std::size_t>(left - skipped_));
}

Result<void> LogReader::apply_entries(const Segment& segment, const FrameHeader& frame,
                                      std::string_view bytes) {
  const raft::Index last(frame.keep_through.value + frame.entry_count);
  if (frame.entry_count > 0 && last <= unneeded_) return pass_over_entries(segment, frame, bytes);
  // One buffer for the entries of a frame, without header and padding.
  const SharedBytes buffer = SharedBytes::copy_of(bytes);
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < frame.entry_count; ++i) {
    Result<raft::Entry> entry = raft::decode_entry(buffer.slice(at, buffer.size() - at));
    if (!entry) return damage(segment, offset_, entry.error().what);
    at += entry->bytes.size();
    const auto checked = check_entry(segment, frame, *entry, last_index().next(), last_term());
    if (!checked) return checked;
    if (entry->index == raft::Index(1)) state_.cluster_id = cluster_id_of(*entry);
    out_.entries.push_back(std::move(*entry));
  }
  if (at != buffer.size()) return damage(segment, offset_, "there are bytes after its entries");
  return {};
}

Result<void> LogReader::check_entry(const Segment& segment, const FrameHeader& frame,
                                    const raft::Entry& entry, raft::Index expected,
                                    raft::Term before) const {
  if (entry.index == expected && entry.term >= before &&
      entry.term <= frame.hard_state.current_term)
    return {};
  return damage(segment, offset_,
                fmt::format("entry {} of term {} cannot follow entry {} of term {}",
                            entry.index.value, entry.term.value, expected.value - 1, before.value));
}

// Skips the entries of this frame, which are in a snapshot. The frame's checksum has been verified.
// Only the last entry is decoded, because its term may be needed where the log in memory begins.
Result<void> LogReader::pass_over_entries(const Segment& segment, const FrameHeader& frame,
                                          std::string_view bytes) {
  std::size_t first = 0;
  std::size_t at = 0;
  std::size_t length = 0;
  for (std::uint32_t i = 0; i < frame.entry_count; ++i) {
    at += length;
    length = raft::entry_length(bytes.substr(at));
    if (length == 0 || length > bytes.size() - at)
      return damage(segment, offset_, "an entry's length is out of bounds");
    if (i == 0) first = length;
  }
  if (at + length != bytes.size())
    return damage(segment, offset_, "there are bytes after its entries");
  if (frame.keep_through == raft::Index(0)) {
    const auto entry = raft::decode_entry(SharedBytes::copy_of(bytes.substr(0, first)));
    if (!entry) return damage(segment, offset_, entry.error().what);
    state_.cluster_id = cluster_id_of(*entry);
  }
  const auto entry = raft::decode_entry(SharedBytes::copy_of(bytes.substr(at, length)));
  if (!entry) return damage(segment, offset_, entry.error().what);
  const raft::Index last(frame.keep_through.value + frame.entry_count);
  if (auto checked = check_entry(segment, frame, *entry, last, last_term()); !checked)
    return checked;
  out_.entries.clear();
  skipped_ = last.value - start_.value + 1;
  skipped_term_ = entry->term;
  return {};
}

// A segment with a successor must end exactly where the successor says.
Result<void> LogReader::check_end(const Segment& segment, const Segment& next, FileWindow& window) {
  const std::uint64_t end = next.head.previous_end;
  if (offset_ < end)
    return damage(
        segment, offset_,
        fmt::format("no valid frame here, but {} says that the segment continues up to offset {}",
                    next.name, end));
  if (offset_ > end || chain_ != next.head.previous_checksum)
    return damage(segment, offset_,
                  fmt::format("its last frame is not the one that {} follows", next.name));
  // A torn frame after the end stays there. A complete frame there may have been acknowledged.
  Result<std::optional<FrameHeader>> more = read_frame(segment, window);
  if (!more) return std::move(more).error();
  if (*more)
    return damage(
        segment, offset_,
        fmt::format("there is a complete frame here, but {} says that the segment ends before it",
                    next.name));
  return {};
}

// There is no valid frame at offset_ of the last segment. This is the end of the log, or a write
// that never finished, or damage. At most one frame is in flight, so only the very last one can be
// torn. The header of any later frame, torn or not, proves that the frame here was durable once.
Result<void> LogReader::judge_tail(const Segment& segment, FileWindow& window) {
  if (frames_here_ < segment.head.born_with)
    return damage(segment, offset_,
                  "no valid frame here, but one was durable before the segment got its name");
  torn_ = segment.size < segment.head.file_bytes;
  for (std::uint64_t at = offset_; at < window.size(); at += FileWindow::kBytes) {
    Result<std::string_view> bytes = window.view(at, FileWindow::kBytes);
    if (!bytes) return std::move(bytes).error();
    if (all_zero(*bytes)) continue;
    torn_ = true;
    for (std::size_t i = 0; i < bytes->size(); i += kSector) {
      if (at + i == offset_) continue;
      if (decode_frame_header(bytes->substr(i), segment.head.incarnation, segment.number, at + i))
        return damage(segment, offset_,
                      fmt::format("no valid frame here, but a later one at offset {}", at + i));
    }
  }
  return {};
}

Result<void> LogReader::begin_fresh(raft::Incarnation fresh, const WalOptions& options) {
  VESPER_ASSERT(fresh.value != 0);
  SegmentHead head;
  head.server = self_;
  head.incarnation = fresh;
  head.number = 1;
  Result<WalSegment> made = make_segment(fs_, options.first_segment_bytes, head);
  if (!made) return std::move(made).error();
  tail_.incarnation = fresh;
  tail_.segment = *made;
  tail_.chain = head.checksum;
  tail_.files.push_back({1, made->bytes, raft::Index(0)});
  out_.notes.push_back(fmt::format("empty data directory -> starting a new log, incarnation {}",
                                   to_hex(fresh.value)));
  return {};
}

// Rewrites the last frame. After a kill -9 that frame may be only in the page cache. After a failed
// fsync it may never reach the disk: the kernel marks its pages as written, and the next fsync
// succeeds. A crash during the rewrite is harmless, because the bytes are the same. The frames
// before the last one were durable, or it would not have followed them.
Result<void> LogReader::write_last_frame_again() {
  const Segment& last = segments_.back();
  const std::uint64_t end = std::min(offset_, last.size);
  if (last_frame_ == 0 || end <= last_frame_) return {};
  const auto length = static_cast<std::size_t>(end - last_frame_);
  Result<SharedBytes> bytes = fs_.read(last.name, last_frame_, length);
  if (!bytes) return std::move(bytes).error();
  return fs_.write(last.name, last_frame_, bytes->view());
}

// Everything has been read and judged. The first changes to the disk happen here.
Result<void> LogReader::go_on(const WalOptions& options) {
  const Segment& last = segments_.back();
  // The rename of the last segment must be durable, too, before anything relies on it.
  if (auto written = write_last_frame_again(); !written) return written;
  if (auto synced = fs_.sync(last.name); !synced) return synced;
  if (auto synced = fs_.sync_directory(); !synced) return synced;
  tail_.incarnation = last.head.incarnation;
  tail_.state = state_;
  tail_.chain = chain_;
  tail_.sealed = sealed_;
  for (const Segment& segment : segments_)
    tail_.files.push_back({segment.number, segment.size, segment.head.state.last_index});
  // Bytes beyond the allocated size were written by another program.
  tail_.segment = {last.number, std::min(last.size, last.head.file_bytes), offset_};
  if (!torn_) return {};

  SegmentHead head;
  head.server = self_;
  head.incarnation = last.head.incarnation;
  head.number = last.number + 1;
  head.previous_end = offset_;
  head.previous_checksum = chain_;
  head.state = state_;
  Result<WalSegment> made = make_segment(fs_, options.first_segment_bytes, head);
  if (!made) return std::move(made).error();
  tail_.segment = *made;
  tail_.chain = head.checksum;
  tail_.sealed = true;
  tail_.files.push_back({head.number, made->bytes, state_.last_index});
  out_.notes.push_back(fmt::format(
      "{} at offset {}: a write did not finish{} -> cutting the log there, continuing in {}",
      last.name, offset_,
      last.size < last.head.file_bytes ? " (the file is shorter than it was when created)" : "",
      segment_name(head.number)));
  return {};
}

// Verifies that the log has no gap at its beginning: segments are removed only once the log begins
// after them.
Result<void> LogReader::check_beginning() {
  if (segments_.empty()) return {};
  const raft::Index first = state_.base.index.next();
  if (start_ > first)
    return Error{
        fmt::format("{} is missing: the log begins with entry {}, the first one in {} is {}",
                    segment_name(segments_.front().number - 1), first.value, segments_.front().name,
                    start_.value)};
  out_.kept = state_.base;
  const raft::Index keep_from = std::max(state_.base.index, std::min(unneeded_, last_index()));
  const std::uint64_t useless =
      std::min<std::uint64_t>(keep_from.value - (start_.value - 1) - skipped_, out_.entries.size());
  if (keep_from > state_.base.index)
    out_.kept = {keep_from, useless > 0 ? out_.entries[useless - 1].term : skipped_term_, {}};
  out_.entries.erase(out_.entries.begin(),
                     out_.entries.begin() + static_cast<std::ptrdiff_t>(useless));
  return {};
}

Result<WalTail> LogReader::run(raft::Incarnation fresh, const WalOptions& options) {
  if (auto listed = list(); !listed) return std::move(listed).error();
  if (auto read = read_heads(); !read) return std::move(read).error();
  for (const raft::Index index : snapshots_)
    if (auto ours = check_owner(fs_, {self_, segments_.front().head.incarnation}, index); !ours)
      return std::move(ours).error();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Segment* next = i + 1 < segments_.size() ? &segments_[i + 1] : nullptr;
    if (auto read = read_segment(segments_[i], next); !read) return std::move(read).error();
  }
  if (auto checked = check_beginning(); !checked) return std::move(checked).error();
  // D6: before the first write, because that write may need their space.
  for (const std::string& name : temporaries_)
    if (auto removed = fs_.remove(name); !removed) return std::move(removed).error();
  const auto begun = segments_.empty() ? begin_fresh(fresh, options) : go_on(options);
  if (!begun) return begun.error();
  if (!segments_.empty())
    out_.notes.push_back(fmt::format(
        "log read: {} entries after index {}, term {}, commit index {}, {} segments",
        state_.last_index.value - state_.base.index.value, state_.base.index.value,
        state_.hard_state.current_term.value, state_.commit_index.value, tail_.files.size()));
  out_.hard_state = state_.hard_state;
  out_.commit_index = state_.commit_index;
  out_.last_write = state_.write_number;
  out_.cluster_id = state_.cluster_id;
  out_.base = {state_.base.index, state_.base.term, state_.cluster_id};
  out_.incarnation = tail_.incarnation;
  return tail_;
}

}  // namespace

Result<WalTail> recover_wal(Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                            const WalOptions& options, RecoveredLog& out, raft::Index unneeded) {
  out = {};
  return LogReader(fs, self, out, unneeded).run(fresh, options);
}

}  // namespace vesper::storage
