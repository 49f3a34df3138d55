#include "storage/frame_rules.hpp"

#include "raft/entry.hpp"

namespace vesper::storage {
namespace {

// Far above what any log reaches. The limit keeps arithmetic on write numbers from wrapping.
constexpr raft::WriteNumber kMaxWriteNumber{std::uint64_t{1} << 62};

}  // namespace

const char* inconsistency(const FrameHeader& frame, const raft::LogBase& base,
                          const WalState& before) {
  const raft::HardState& old = before.hard_state;
  const raft::HardState& hard = frame.hard_state;
  const bool cuts = frame.kind == FrameKind::cut;
  if (frame.kind != FrameKind::batch && frame.kind != FrameKind::seal && !cuts)
    return "its kind is unknown to this build";
  if (frame.write_number < before.write_number || frame.write_number > kMaxWriteNumber)
    return "its write number decreases or is out of range";
  if (frame.durable_number != before.write_number) return "its durable number is wrong";
  if (hard.current_term < old.current_term || hard.current_term > raft::kMaxTerm)
    return "its term decreases or is out of range";
  if (hard.voted_for && hard.voted_for->value > raft::kMaxServerId) return "its vote is malformed";
  // §5.2: one vote per term, even across restarts.
  if (hard.current_term == old.current_term && old.voted_for && hard.voted_for != old.voted_for)
    return "its vote changes within a term";
  if (cuts &&
      (base.index <= before.base.index || base.index > frame.keep_through ||
       base.index > frame.commit_index || base.term.value == 0 || base.term > hard.current_term))
    return "the index at which it cuts the log is out of range";
  if (frame.keep_through > before.last_index && !(cuts && frame.keep_through == base.index))
    return "its entries leave a gap";
  if (frame.keep_through < before.commit_index) return "it cuts committed entries";
  const std::size_t lead = kFrameHeader + (cuts ? kCutBytes : 0);
  if (frame.length < lead || frame.entry_count > (frame.length - lead) / raft::kEntryOverhead)
    return "it is too short for its number of entries";
  if (frame.commit_index < before.commit_index ||
      frame.commit_index > raft::Index(frame.keep_through.value + frame.entry_count))
    return "its commit index is out of range";
  if (frame.kind == FrameKind::seal &&
      (frame.write_number != before.write_number || frame.length != kFrameHeader ||
       frame.keep_through != before.last_index || !(hard == old)))
    return "it is a seal but changes the state";
  return nullptr;
}

}  // namespace vesper::storage
