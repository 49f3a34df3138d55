#include "storage/wal_recovery.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/checksum.hpp"
#include "storage/snapshot_files.hpp"

namespace vesper::storage {
namespace {

constexpr std::size_t kWindow = 1u << 20;
// A head, one frame without entries, its seal: a term and a vote.
constexpr std::uint64_t kLeastSegment = 3 * kSector;
// Earlier builds locked a file of this name. It means nothing now.
constexpr std::string_view kOldLock = "LOCK";
// Far above what any log reaches; below it, arithmetic on write numbers never wraps.
constexpr raft::WriteNumber kMaxWriteNumber{std::uint64_t{1} << 62};

bool all_zero(std::string_view bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == '\0' && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// A file read from front to back through one window.
class Reader {
 public:
  Reader(Fs& fs, std::string file, std::uint64_t size)
      : fs_(fs), file_(std::move(file)), size_(size) {}

  std::uint64_t size() const { return size_; }

  // `length` bytes at `offset`, fewer only at the file's end. Valid until the next call.
  Result<std::string_view> view(std::uint64_t offset, std::size_t length) {
    VESPER_ASSERT(offset <= size_);
    length = static_cast<std::size_t>(std::min<std::uint64_t>(length, size_ - offset));
    if (offset < base_ || offset + length > base_ + window_.size()) {
      const auto wanted = static_cast<std::size_t>(
          std::min<std::uint64_t>(std::max(length, kWindow), size_ - offset));
      Result<SharedBytes> bytes = fs_.read(file_, offset, wanted);
      if (!bytes)
        return Error{
            fmt::format("{} at offset {}: cannot be read: {}", file_, offset, bytes.error().what),
            bytes.error().code};
      if (bytes->size() != wanted)
        return Error{
            fmt::format("{} at offset {}: {} bytes expected, {} read: did the file change?", file_,
                        offset, wanted, bytes->size()),
            EIO};
      window_ = std::move(*bytes);
      base_ = offset;
    }
    return window_.view().substr(static_cast<std::size_t>(offset - base_), length);
  }

 private:
  Fs& fs_;
  const std::string file_;
  const std::uint64_t size_;
  SharedBytes window_;
  std::uint64_t base_ = 0;
};

struct Segment {
  std::string name;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  SegmentHead head;
};

Error damage(const Segment& segment, std::uint64_t offset, std::string_view what) {
  return Error{fmt::format("{} at offset {}: damaged: {}", segment.name, offset, what)};
}

Result<void> write_spare(Fs& fs, std::uint64_t bytes, SegmentHead& head) {
  head.file_bytes = bytes;
  std::string content = encode_head(head);
  content.resize(static_cast<std::size_t>(bytes), '\0');
  const std::string spare(kSpareName);
  if (auto written = fs.write(spare, 0, content); !written) return written;
  return fs.sync(spare);
}

// A new segment with nothing but its head, under its name only when it is durable. On a disk that
// is nearly full it is smaller than `bytes`: terms and votes need little, and with them a server
// helps the others until there is space for entries.
Result<WalSegment> make_segment(Fs& fs, std::uint64_t bytes, SegmentHead& head) {
  const std::string spare(kSpareName);
  const std::string name = segment_name(head.number);
  auto made = write_spare(fs, bytes, head);
  while (!made && out_of_space(made.error().code)) {
    const Error error = made.error();
    if (auto removed = fs.remove(spare); !removed && removed.error().code != ENOENT)
      return std::move(removed).error();
    if (bytes == kLeastSegment)
      return Error{fmt::format("no space for {}, of which {} bytes are needed at least: {} -> free "
                               "some space and start again",
                               name, bytes, error.what),
                   error.code};
    bytes = std::max(kLeastSegment, bytes / 4 / kSector * kSector);
    made = write_spare(fs, bytes, head);
  }
  if (!made) return std::move(made).error();
  if (auto done = fs.rename(spare, name); !done) return std::move(done).error();
  if (auto done = fs.sync_directory(); !done) return std::move(done).error();
  return WalSegment{head.number, bytes, kSector};
}

class Recovery {
 public:
  Recovery(Fs& fs, raft::ServerId self, Recovered& out, raft::Index unneeded)
      : fs_(fs), self_(self), out_(out), unneeded_(unneeded) {}

  Result<WalTail> run(raft::Incarnation fresh, const WalOptions& options);

 private:
  Result<void> list();
  Result<void> read_heads();
  Result<void> read_segment(const Segment& segment, const Segment* next);
  Result<void> check_head(const Segment& segment);
  Result<void> check_end(const Segment& segment, const Segment& next, Reader& reader);
  Result<void> judge_tail(const Segment& segment, Reader& reader);
  Result<std::optional<FrameHeader>> read_frame(const Segment& segment, Reader& reader);
  Result<void> apply(const Segment& segment, const FrameHeader& frame, std::string_view entries);
  const char* inconsistency(const FrameHeader& frame, const raft::LogBase& base) const;
  Result<void> check_beginning();
  void forget_behind(raft::Index index, bool before_it_too);
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
  Recovered& out_;
  const raft::Index unneeded_;
  std::vector<Segment> segments_;
  std::vector<std::string> temporaries_;  // what was never finished
  std::vector<raft::Index> snapshots_;
  // Where reading stands.
  WalState state_;
  // Entries from start_ on have been read. The first skipped_ of them were passed over, all of them
  // at most unneeded_; those behind them are out_.entries.
  raft::Index start_{1};
  std::uint64_t skipped_ = 0;
  raft::Term skipped_term_;  // of the last of them; 0: not known
  std::uint64_t offset_ = 0;
  std::uint64_t last_frame_ = 0;  // offset of the last one in the segment being read; 0: none yet
  std::uint64_t chain_ = 0;
  std::uint64_t frames_here_ = 0;
  bool sealed_ = true;
  bool torn_ = false;
  WalTail tail_;
};

Result<void> Recovery::list() {
  Result<std::vector<std::string>> names = fs_.list();
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (const auto number = parse_segment_name(name)) {
      Result<std::uint64_t> size = fs_.size(name);
      if (!size) return std::move(size).error();
      segments_.push_back(Segment{name, *number, *size, {}});
    } else if (name == kSpareName || is_snapshot_temporary(name)) {
      temporaries_.push_back(name);
    } else if (const auto index = parse_snapshot_name(name)) {
      snapshots_.push_back(*index);
    } else if (name != kOldLock) {
      out_.notes.push_back(fmt::format(
          "{} in the data directory is no file of the log -> left alone", escaped(name)));
    }
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.number < b.number; });
  if (segments_.empty() && !snapshots_.empty())
    return Error{
        fmt::format("{} is missing, but snapshots are there: without its log this node "
                    "does not know how it voted",
                    segment_name(1))};
  std::uint64_t expected = segments_.empty() ? 1 : segments_.front().number;
  for (const Segment& segment : segments_) {
    if (segment.number != expected)
      return Error{fmt::format("{} is missing ({} is there): the log has a gap",
                               segment_name(expected), segment.name)};
    ++expected;
  }
  return {};
}

Result<void> Recovery::read_heads() {
  for (Segment& segment : segments_) {
    Reader reader(fs_, segment.name, std::min<std::uint64_t>(segment.size, kSector));
    Result<std::string_view> sector = reader.view(0, kSector);
    if (!sector) return std::move(sector).error();
    Result<SegmentHead> head = decode_head(*sector);
    if (!head) return Error{fmt::format("{} at offset 0: {}", segment.name, head.error().what)};
    segment.head = *head;
    if (head->server != self_)
      return Error{
          fmt::format("{} belongs to node {}, this is node {}: wrong id or wrong directory",
                      segment.name, head->server.value, self_.value)};
    if (head->number != segment.number)
      return Error{fmt::format("{} says that it is segment {}: a file was renamed or copied",
                               segment.name, segment_name(head->number))};
    const Segment& first = segments_.front();
    if (head->incarnation != first.head.incarnation)
      return Error{
          fmt::format("{} is of incarnation {}, {} of incarnation {}: the directory holds "
                      "files of two logs",
                      segment.name, to_hex(head->incarnation.value), first.name,
                      to_hex(first.head.incarnation.value))};
  }
  return {};
}

// The head repeats what the log says before its segment: a second copy of the vote.
Result<void> Recovery::check_head(const Segment& segment) {
  const WalState& said = segment.head.state;
  if (segment.number == segments_.front().number && segment.number > 1) {
    // What was before is in a snapshot: check_beginning() makes sure of it.
    state_ = said;
    start_ = said.last_index.next();
    return {};
  }
  if (said.cluster_id != state_.cluster_id)
    return Error{fmt::format("{} is of cluster {}, the log before it of cluster {}", segment.name,
                             to_hex(said.cluster_id), to_hex(state_.cluster_id))};
  if (said.write_number != state_.write_number || !(said.hard_state == state_.hard_state) ||
      said.commit_index != state_.commit_index || said.last_index != state_.last_index ||
      said.base.index != state_.base.index || said.base.term != state_.base.term)
    return damage(segment, 0, "its head does not agree with the log before it");
  if (segment.number == 1 &&
      (segment.head.previous_end != 0 || segment.head.previous_checksum != 0))
    return damage(segment, 0, "the first segment claims to follow another one");
  return {};
}

Result<void> Recovery::read_segment(const Segment& segment, const Segment* next) {
  if (auto checked = check_head(segment); !checked) return checked;
  Reader reader(fs_, segment.name, segment.size);
  offset_ = kSector;
  last_frame_ = 0;
  chain_ = segment.head.checksum;
  frames_here_ = 0;
  sealed_ = true;
  while (next == nullptr || offset_ < next->head.previous_end) {
    Result<std::optional<FrameHeader>> frame = read_frame(segment, reader);
    if (!frame) return std::move(frame).error();
    if (!*frame) break;
    last_frame_ = offset_;
    offset_ += sectors((*frame)->length);
    chain_ = (*frame)->checksum;
    sealed_ = (*frame)->kind == FrameKind::seal;
    ++frames_here_;
  }
  return next != nullptr ? check_end(segment, *next, reader) : judge_tail(segment, reader);
}

// A valid frame at offset_, applied to the log; nothing where there is none. An error where a frame
// is valid by itself but cannot stand here.
Result<std::optional<FrameHeader>> Recovery::read_frame(const Segment& segment, Reader& reader) {
  if (offset_ >= reader.size()) return std::optional<FrameHeader>();
  Result<std::string_view> bytes = reader.view(offset_, kFrameHeader);
  if (!bytes) return std::move(bytes).error();
  std::optional<FrameHeader> frame =
      decode_frame_header(*bytes, segment.head.incarnation, segment.number, offset_);
  if (!frame) return frame;
  if (frame->previous != chain_)
    return damage(segment, offset_, "the frame does not follow the one before it");
  if (frame->length > reader.size() - offset_) return std::optional<FrameHeader>();
  bytes = reader.view(offset_, frame->length);
  if (!bytes) return std::move(bytes).error();
  const std::string_view entries = bytes->substr(kFrameHeader);
  if (frame->entries_checksum != checksum64(entries, segment.head.incarnation.value))
    return std::optional<FrameHeader>();
  if (auto applied = apply(segment, *frame, entries); !applied) return std::move(applied).error();
  return frame;
}

// What a frame with right checksums can still have wrong, or null. None of it comes from a disk; it
// would be a mistake of the program that wrote it, and going on would make it worse.
const char* Recovery::inconsistency(const FrameHeader& frame, const raft::LogBase& base) const {
  const raft::HardState& old = state_.hard_state;
  const raft::HardState& hard = frame.hard_state;
  const bool cuts = frame.kind == FrameKind::cut;
  if (frame.kind != FrameKind::batch && frame.kind != FrameKind::seal && !cuts)
    return "its kind is unknown to this build";
  if (frame.write_number < state_.write_number || frame.write_number > kMaxWriteNumber)
    return "its write number falls or is out of range";
  if (frame.durable_number != state_.write_number) return "its durable number is wrong";
  if (hard.current_term < old.current_term || hard.current_term > raft::kMaxTerm)
    return "its term falls or is out of range";
  if (hard.voted_for && hard.voted_for->value >= raft::kMaxServers) return "its vote is malformed";
  // §5.2: one vote a term, across restarts, too.
  if (hard.current_term == old.current_term && old.voted_for && hard.voted_for != old.voted_for)
    return "its vote changes within a term";
  if (cuts &&
      (base.index <= state_.base.index || base.index > frame.keep_through ||
       base.index > frame.commit_index || base.term.value == 0 || base.term > hard.current_term))
    return "where it cuts the log is out of range";
  if (frame.keep_through > state_.last_index && !(cuts && frame.keep_through == base.index))
    return "its entries leave a gap";
  if (frame.keep_through < state_.commit_index) return "it cuts committed entries";
  const std::size_t lead = kFrameHeader + (cuts ? kCutBytes : 0);
  if (frame.length < lead || frame.entry_count > (frame.length - lead) / raft::kEntryOverhead)
    return "it cannot hold as many entries as it says";
  if (frame.commit_index < state_.commit_index ||
      frame.commit_index > raft::Index(frame.keep_through.value + frame.entry_count))
    return "its commit index is out of range";
  if (frame.kind == FrameKind::seal &&
      (frame.write_number != state_.write_number || frame.length != kFrameHeader ||
       frame.keep_through != state_.last_index || !(hard == old)))
    return "a seal says something new";
  return nullptr;
}

Result<void> Recovery::apply(const Segment& segment, const FrameHeader& frame,
                             std::string_view entries) {
  raft::LogBase base = state_.base;
  if (frame.kind == FrameKind::cut) {
    if (entries.size() < kCutBytes) return damage(segment, offset_, "it is too short for its kind");
    base = decode_cut(entries);
    entries.remove_prefix(kCutBytes);
  }
  if (const char* wrong = inconsistency(frame, base)) return damage(segment, offset_, wrong);
  const bool afresh = frame.kind == FrameKind::cut && frame.keep_through == base.index;
  forget_behind(frame.keep_through, afresh);
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

// What was read of the log ends with `index` now; with `before_it_too` it begins behind it.
void Recovery::forget_behind(raft::Index index, bool before_it_too) {
  if (before_it_too || index < start_) start_ = index.next();
  const std::uint64_t left = index.next().value - start_.value;
  if (left < skipped_) {
    skipped_ = left;
    skipped_term_ = raft::Term(0);
  }
  out_.entries.resize(static_cast<std::size_t>(left - skipped_));
}

Result<void> Recovery::apply_entries(const Segment& segment, const FrameHeader& frame,
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
  if (at != buffer.size()) return damage(segment, offset_, "there are bytes behind its entries");
  return {};
}

Result<void> Recovery::check_entry(const Segment& segment, const FrameHeader& frame,
                                   const raft::Entry& entry, raft::Index expected,
                                   raft::Term before) const {
  if (entry.index == expected && entry.term >= before &&
      entry.term <= frame.hard_state.current_term)
    return {};
  return damage(segment, offset_,
                fmt::format("entry {} of term {} cannot follow entry {} of term {}",
                            entry.index.value, entry.term.value, expected.value - 1, before.value));
}

// Nobody needs the entries of this frame: they are in a snapshot. Its checksum has been checked;
// of the entries the last one is read, whose term may be where the log kept in memory begins.
Result<void> Recovery::pass_over_entries(const Segment& segment, const FrameHeader& frame,
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
    return damage(segment, offset_, "there are bytes behind its entries");
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

// A segment that has a successor ends exactly where that one says.
Result<void> Recovery::check_end(const Segment& segment, const Segment& next, Reader& reader) {
  const std::uint64_t end = next.head.previous_end;
  if (offset_ < end)
    return damage(segment, offset_,
                  fmt::format("no valid frame here, but {} says that the segment goes on to {}",
                              next.name, end));
  if (offset_ > end || chain_ != next.head.previous_checksum)
    return damage(segment, offset_,
                  fmt::format("its last frame is not the one that {} follows", next.name));
  // What was torn stays torn. A whole frame behind the end may have been acknowledged.
  Result<std::optional<FrameHeader>> more = read_frame(segment, reader);
  if (!more) return std::move(more).error();
  if (*more)
    return damage(
        segment, offset_,
        fmt::format("there is a whole frame, but {} says that the segment ended before it",
                    next.name));
  return {};
}

// No valid frame at offset_ of the last segment: is this the end, a write that never finished, or
// damage? At most one frame is in flight, so only the very last one can be torn. The header of any
// later one, torn or not, proves that the frame here was durable once.
Result<void> Recovery::judge_tail(const Segment& segment, Reader& reader) {
  if (frames_here_ < segment.head.born_with)
    return damage(segment, offset_,
                  "no valid frame here, but it was durable before the segment had its name");
  torn_ = segment.size < segment.head.file_bytes;
  for (std::uint64_t at = offset_; at < reader.size(); at += kWindow) {
    Result<std::string_view> window = reader.view(at, kWindow);
    if (!window) return std::move(window).error();
    if (all_zero(*window)) continue;
    torn_ = true;
    for (std::size_t i = 0; i < window->size(); i += kSector) {
      if (at + i == offset_) continue;
      if (decode_frame_header(window->substr(i), segment.head.incarnation, segment.number, at + i))
        return damage(segment, offset_,
                      fmt::format("no valid frame here, but a later one at offset {}", at + i));
    }
  }
  return {};
}

Result<void> Recovery::begin_fresh(raft::Incarnation fresh, const WalOptions& options) {
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
  out_.notes.push_back(
      fmt::format("empty data directory -> new log, incarnation {}", to_hex(fresh.value)));
  return {};
}

// After a kill -9 the last frame may be in the page cache alone. After a failed fsync it may be
// there and never reach the disk: the kernel takes its pages for written, and the next fsync says
// that all is well. So it is written once more; a crash in between changes nothing, the bytes are
// the same. Frames before it were durable, or it would not have followed them.
Result<void> Recovery::write_last_frame_again() {
  const Segment& last = segments_.back();
  const std::uint64_t end = std::min(offset_, last.size);
  if (last_frame_ == 0 || end <= last_frame_) return {};
  const auto length = static_cast<std::size_t>(end - last_frame_);
  Result<SharedBytes> bytes = fs_.read(last.name, last_frame_, length);
  if (!bytes) return std::move(bytes).error();
  return fs_.write(last.name, last_frame_, bytes->view());
}

// All is read and judged; only now something is changed.
Result<void> Recovery::go_on(const WalOptions& options) {
  const Segment& last = segments_.back();
  // Nor may a rename be built upon that is not yet in the directory.
  if (auto written = write_last_frame_again(); !written) return written;
  if (auto synced = fs_.sync(last.name); !synced) return synced;
  if (auto synced = fs_.sync_directory(); !synced) return synced;
  tail_.incarnation = last.head.incarnation;
  tail_.state = state_;
  tail_.chain = chain_;
  tail_.sealed = sealed_;
  for (const Segment& segment : segments_)
    tail_.files.push_back({segment.number, segment.size, segment.head.state.last_index});
  // Bytes behind the allocated size were put there by somebody else: no blocks of ours.
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
      "{} at offset {}: a write that never finished{} -> cut there, going on in {}", last.name,
      offset_, last.size < last.head.file_bytes ? " (the file is shorter than it was made)" : "",
      segment_name(head.number)));
  return {};
}

// Segments are removed only when the log begins behind them: it must not begin behind a gap.
Result<void> Recovery::check_beginning() {
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

Result<WalTail> Recovery::run(raft::Incarnation fresh, const WalOptions& options) {
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
        "log read: {} entries behind index {}, term {}, commit index {}, {} segments",
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
                            const WalOptions& options, Recovered& out, raft::Index unneeded) {
  out = {};
  return Recovery(fs, self, out, unneeded).run(fresh, options);
}

}  // namespace vesper::storage
