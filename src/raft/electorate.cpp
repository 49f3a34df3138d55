#include "raft/electorate.hpp"

#include <algorithm>

#include "raft/entry.hpp"

namespace vesper::raft {

void Electorate::adopt(Configuration configuration) {
  history_.clear();
  history_.push_back(std::move(configuration));
  review();
}

bool Electorate::append(const Entry& entry) {
  if (!changes_configuration(entry)) return false;
  history_.push_back(history_.back());
  apply_configuration(entry, history_.back());
  review();
  return true;
}

void Electorate::truncate_from(Index index) {
  VESPER_ASSERT(history_.front().index < index);  // L3: it is committed
  while (history_.back().index >= index) history_.pop_back();
  review();
}

void Electorate::commit_to(Index index) {
  while (history_.size() > 1 && history_[1].index <= index) {
    history_.pop_front();
    review();  // each one: it may be the only one that has this server
  }
}

// A server that the first list names, and that the log has not registered yet, is the member at its
// place.
ServerId Electorate::find_self(const Configuration& configuration) const {
  if (configuration.cluster_id.is_none()) return listed_;
  if (const Member* member = configuration.find(incarnation_)) return member->id;
  const Member* listed = configuration.find(listed_);
  return listed != nullptr && listed->incarnation.value == 0 ? listed->id : kNoServer;
}

bool Electorate::is_alone() const {
  return std::all_of(history_.begin(), history_.end(),
                     [](const Configuration& each) { return Quorum(each.members).is_single(); });
}

bool Electorate::is_left_out() const {
  return !committed().cluster_id.is_none() && find_self(committed()) == kNoServer &&
         find_self(configuration()) == kNoServer;
}

// A leader that is not in its latest configuration keeps its number until it steps down. Only the
// incarnation tells that this disk was a member: a new disk that reads the log from its start finds
// its place unregistered at first, and taken later.
void Electorate::review() {
  const Member* member = committed().find(incarnation_);
  was_member_ |= member != nullptr;
  const ServerId found = find_self(configuration());
  if (found != kNoServer || !was_member_) self_ = found;
  else if (member != nullptr) self_ = member->id;
}

}  // namespace vesper::raft
