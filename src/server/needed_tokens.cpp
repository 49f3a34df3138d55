#include "server/needed_tokens.hpp"

#include "server/core_dumps.hpp"

namespace vesper::server {
namespace {

// Whether the node has applied an entry of the present term. Then it has applied everything that
// was committed in earlier terms, also what its own log did not know to be committed.
bool is_up_to_date(const node::Node& node) {
  const raft::Raft& raft = node.raft();
  return raft.leader() && raft.log().term_at(node.applied_index()) == raft.current_term();
}

}  // namespace

Result<void> NeededTokens::load(storage::Fs& fs) {
  const auto content = storage::read_record(fs, storage::kTokensNeeded);
  if (!content) return content.error();
  recorded_ = *content && !(*content)->empty();
  is_known_ = !recorded_;
  if (recorded_) forbid_core_dumps();
  return {};
}

void NeededTokens::run(api::Context& context, storage::RecordWriter& records) {
  const bool needed = context.node()->store().access().is_enabled();
  is_known_ = is_known_ || needed || is_up_to_date(*context.node());
  if (!is_known_) return;
  context.set_tokens_known();
  if (needed == recorded_) return;
  recorded_ = needed;
  if (needed) forbid_core_dumps();
  records.write(storage::kTokensNeeded, needed ? "yes" : "");
}

}  // namespace vesper::server
