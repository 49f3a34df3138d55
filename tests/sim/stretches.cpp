// Other messages that a leader could have sent. A leader goes back exactly as far as a follower
// needs, so most messages that a network may legally deliver never occur. This file sends them: any
// stretch of the log that the leader has had in its term, with its commit index of then or later,
// and old chunks of snapshots.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kRememberedEntries = 64;  // committed entries
constexpr std::uint64_t kReach = 12;  // how far before the end of the log a stretch begins
constexpr std::uint64_t kLength = 6;

}  // namespace

void World::begin_stretches() {
  tally_.count(Count::fault_stretch);
  trace("leaders also send other ranges of their logs");
  ++stretching_;
  begin({FaultKind::stretch, {}, {}, false}, between(faults_, seconds(1), seconds(6)));
}

// Committed entries are the same in every log, so these can replace entries that a log has dropped.
void World::remember(const raft::Entry& entry) {
  remembered_.push_back(entry);
  if (remembered_.size() > kRememberedEntries) remembered_.pop_front();
}

// Records what the newest leader has had since its election.
void World::note_led(const Host& h) {
  const raft::Raft& raft = h.node->raft();
  if (!raft.is_leader() || raft.current_term() < led_from_.first) return;
  if (raft.current_term() > led_from_.first) {
    led_from_ = {raft.current_term(), raft.log().base_index()};
    led_.clear();
  }
  if (!led_.empty() && led_.back().first == raft.log().last_index()) return;
  led_.emplace_back(raft.log().last_index(), raft.commit_index());
  if (led_.size() > kRememberedEntries) led_.pop_front();
}

// Sometimes sends another message after a leader's message to `to`.
void World::stretch(Host& from, std::size_t to, const node::PeerMessage& message) {
  if (stretching_ == 0 || !from.node->raft().is_leader() || !one_in(network_, 4)) return;
  const auto* m = std::get_if<raft::Message>(&message);
  if (m == nullptr) return;
  if (std::holds_alternative<raft::InstallSnapshot>(*m)) return repeat_chunk(from.number(), to);
  if (!std::holds_alternative<raft::AppendEntries>(*m) &&
      !std::holds_alternative<raft::Heartbeat>(*m))
    return;
  send_stretch(from, to);
}

void World::send_stretch(Host& from, std::size_t to) {
  const raft::Raft& raft = from.node->raft();
  const raft::Log& log = raft.log();
  // Entries that the log has lost to a snapshot in this term were there when the term began.
  const auto entry = [&](std::uint64_t index) -> const raft::Entry* {
    if (index > log.base_index().value) return &log.at(raft::Index(index));
    for (const raft::Entry& known : remembered_)
      if (known.index.value == index) return &known;
    return nullptr;
  };
  if (led_from_.first != raft.current_term()) return;
  const std::uint64_t first = led_from_.second.value;
  const std::uint64_t last = log.last_index().value;
  const std::uint64_t low = std::max(first, last - std::min(last, kReach));
  auto prev = static_cast<std::uint64_t>(
      network_.between(static_cast<std::int64_t>(low), static_cast<std::int64_t>(last)));
  // Often start where the follower's log equals the leader's, and sometimes end there, too.
  const Host& follower = host(to);
  const bool to_the_point = follower.up() && chance(network_, 50);
  if (to_the_point) {
    const raft::Log& there = follower.node->raft().log();
    std::uint64_t agree = std::min(there.last_index().value, last);
    while (agree > first && there.term_at(raft::Index(agree)) != log.term_at(raft::Index(agree)))
      --agree;
    prev = std::max(agree, first);
  }
  raft::AppendEntries m;
  m.term = raft.current_term();
  m.prev_log_index = raft::Index(prev);
  if (const auto here = log.term_at(m.prev_log_index)) m.prev_log_term = *here;
  else if (const raft::Entry* known = entry(prev)) m.prev_log_term = known->term;
  else return;
  m.log_time = raft.log_time(from.clock.read(now_));
  const auto length = to_the_point && chance(network_, 50)
                          ? 0
                          : static_cast<std::uint64_t>(
                                network_.between(0, chance(network_, 30) ? kReach * 4 : kLength));
  for (std::uint64_t i = prev + 1; i <= std::min(last, prev + length); ++i) {
    const raft::Entry* next = entry(i);
    if (next == nullptr) break;
    m.entries.push_back(*next);
  }
  m.leader_commit = raft.commit_index();
  const raft::Index end(prev + m.entries.size());
  if (chance(network_, 50)) {
    // The commit index when the log first reached this far.
    for (const auto& [reached, commit] : led_) {
      if (reached < end) continue;
      m.leader_commit = commit;
      break;
    }
  }
  tally_.count(Count::stretches);
  transmit(from, to, raft::Message(std::move(m)),
           chance(network_, 20) ? raft::Channel::bulk : raft::Channel::control);
}

// Keeps a chunk to deliver it much later, if connections do not keep the order.
void World::remember_chunk(std::size_t from, const Deliver& chunk) {
  if (plan_.in_order || stretching_ == 0) return;
  std::deque<Deliver>& kept = chunks_[{from, chunk.to}];
  kept.push_back(chunk);
  if (kept.size() > 4) kept.pop_front();
}

void World::repeat_chunk(std::size_t from, std::size_t to) {
  const auto at = chunks_.find({from, to});
  if (at == chunks_.end() || at->second.empty()) return;
  const auto which = network_.between(0, static_cast<std::int64_t>(at->second.size()) - 1);
  after(between(network_, microseconds(50), delay_max_ * 4),
        at->second[static_cast<std::size_t>(which)]);
}

// ---- rare situations ----------------------------------------------------------------------

void World::count_situations(Host& h, const raft::Message& message) {
  const raft::Raft& raft = h.node->raft();
  if (raft::term_of(message) < raft.current_term()) return;
  const raft::Log& log = raft.log();
  if (const auto* append = std::get_if<raft::AppendEntries>(&message)) {
    const raft::Index behind = log.base_index().next();
    if (behind.value == 1 || append->prev_log_index >= behind || log.last_index() < behind) return;
    for (const raft::Entry& entry : append->entries)
      if (entry.index == behind && entry.term != log.at(behind).term)
        tally_.count(Count::conflicts_behind_snapshots);
    return;
  }
  const auto* offer = std::get_if<raft::InstallSnapshot>(&message);
  if (offer == nullptr || offer->snapshot.last_index <= raft.commit_index()) return;
  const raft::Index index = offer->snapshot.last_index;
  if (log.term_at(index) == offer->snapshot.last_term)
    tally_.count(Count::snapshots_reached_by_logs);
  if (h.offered > raft.commit_index() && h.offered != index)
    tally_.count(offer->data.empty() ? Count::snapshots_replaced : Count::chunks_of_others);
  if (offer->data.empty()) h.offered = std::max(h.offered, index);
  stream_during_install(h);
}

}  // namespace vesper::sim
