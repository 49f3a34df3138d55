#include "node/watch.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {

Watch::~Watch() {
  const std::vector<SpaceRange>& ranges = filter().ranges();
  for (std::size_t i = 0; i < entries_.size(); ++i)
    waits_.remove(ranges[i].space, ranges[i].range, entries_[i]);
}

Watch::Next Watch::next(Instant now, std::size_t& budget, WatchItem& item) {
  if (phase_ == Phase::opening || (phase_ == Phase::asking && leader_asked_)) {
    if (auto first = open(now)) {
      item = std::move(*first);
      return Next::item;
    }
  }
  if (phase_ == Phase::state) return next_of_state(now, budget, item);
  if (phase_ == Phase::events) return next_event(now, budget, item);
  return Next::waiting;  // the leader has not answered yet
}

std::optional<std::uint64_t> Watch::reached() const {
  if (phase_ != Phase::events) return std::nullopt;
  if (armed_) return owner_.keyspace().revision();
  if (!cursor_.is_between_revisions()) return std::nullopt;
  return cursor_.passed();
}

bool Watch::is_kept() const {
  const kv::Keyspace& keyspace = owner_.keyspace();
  if (state_ != nullptr)
    return state_->pin.holds() || state_->revision >= keyspace.oldest_revision();
  return phase_ != Phase::events || armed_ || cursor_.is_kept(keyspace);
}

// ---- the beginning ------------------------------------------------------------------------

// Returns what the watch begins with, if there is something.
std::optional<WatchItem> Watch::open(Instant now) {
  const std::uint64_t revision = owner_.keyspace().revision();
  if (request_.begin == WatchRequest::Begin::with_state) {
    begin_state(now);
    return std::nullopt;
  }
  if (request_.since) return open_after(*request_.since, now);
  cursor_.move_after({revision, 0});
  phase_ = Phase::events;
  // The client learns from where to resume, should it be cut off before the first event.
  return WatchMark{WatchMark::Kind::progress, revision};
}

std::optional<WatchItem> Watch::open_after(WatchId since, Instant now) {
  const kv::Keyspace& keyspace = owner_.keyspace();
  if (since.revision > keyspace.revision()) {
    // Either this node lags, or the id is of another history. The leader knows.
    if (leader_asked_) return begin_reset(now);
    if (phase_ == Phase::opening) owner_.ask(*this);
    phase_ = Phase::asking;
    return std::nullopt;
  }
  cursor_.move_after(since);
  if (!cursor_.is_kept(keyspace)) return begin_reset(now);
  phase_ = Phase::events;
  return std::nullopt;
}

WatchItem Watch::begin_reset(Instant now) {
  begin_state(now);
  return WatchMark{WatchMark::Kind::reset, state_->revision};
}

// The leader's store had a revision that this node has now reached.
void Watch::on_leader_revision() {
  leader_asked_ = true;
  owner_.on_ready(*this);
}

// ---- the present state --------------------------------------------------------------------

void Watch::begin_state(Instant now) {
  kv::Keyspace& keyspace = owner_.keyspace();
  phase_ = Phase::state;
  armed_ = may_reset_ = false;
  state_ = std::make_unique<State>();
  state_->revision = keyspace.revision();
  state_->pin = kv::Keyspace::Pin(keyspace, state_->revision);
  state_->began = now;
  // A client that wants no puts only learns where the events begin.
  if (request_.filter.kinds() == WatchFilter::Kinds::deletes)
    state_->range = filter().ranges().size();
}

Watch::Next Watch::next_of_state(Instant now, std::size_t& budget, WatchItem& item) {
  kv::Keyspace& keyspace = owner_.keyspace();
  State& state = *state_;
  release_old_pin(now);
  while (state.at == state.found.size()) {
    if (state.range == filter().ranges().size()) {
      item = WatchMark{WatchMark::Kind::synced, state.revision};
      cursor_.move_after({state.revision, 0});
      state_.reset();
      phase_ = Phase::events;
      return Next::item;
    }
    if (!state.pin.holds() && state.revision < keyspace.oldest_revision())
      return compacted(now, item);
    if (budget == 0) return Next::later;
    const SpaceRange& range = filter().ranges()[state.range];
    if (!state.reader)
      state.reader.emplace(kv::RangeQuery{.range = range.range,
                                          .space = range.space,
                                          .revision = state.revision,
                                          .separator = {}},
                           kv::RangeReader::Count::omit);
    std::size_t visits = std::min(budget, kStateVisits);
    const std::size_t before = visits;
    const bool done = state.reader->run(keyspace, nullptr, visits, kStateBytes);
    budget -= std::min(budget, std::max<std::size_t>(1, before - visits));
    state.found = state.reader->take().kvs;
    state.at = 0;
    if (!done) continue;
    state.reader.reset();
    ++state.range;
  }
  item = WatchState{std::move(state.found[state.at++])};
  return Next::item;
}

void Watch::release_old_pin(Instant now) {
  if (state_ != nullptr && now - state_->began > kMaxPin) state_->pin.release();
}

// ---- events -------------------------------------------------------------------------------

Watch::Next Watch::next_event(Instant now, std::size_t& budget, WatchItem& item) {
  if (armed_) return Next::waiting;
  WatchCursor::Event event;
  switch (cursor_.advance(owner_.keyspace(), filter(), budget, event)) {
    case WatchCursor::Step::event:
      if (request_.prev == kv::Prev::omit) event.replaced = kv::VersionRef();
      item = WatchEvent{std::move(event.version), std::move(event.replaced), event.more};
      return Next::item;
    case WatchCursor::Step::unfinished: return Next::later;
    case WatchCursor::Step::compacted: return compacted(now, item);
    case WatchCursor::Step::caught_up: arm(); return Next::waiting;
  }
  VESPER_UNREACHABLE();
}

// The events that come next were compacted.
Watch::Next Watch::compacted(Instant now, WatchItem& item) {
  if (may_reset_) item = begin_reset(now);
  else item = WatchClosed{WatchClosed::Why::too_slow};
  return Next::item;
}

void Watch::arm() {
  armed_ = true;
  may_reset_ = false;
  if (!entries_.empty()) return;
  entries_.reserve(filter().ranges().size());
  for (const SpaceRange& one : filter().ranges())
    entries_.push_back(waits_.add(one.space, one.range, *this));
}

void Watch::on_change(const kv::Version& event) {
  if (!armed_ || !filter().takes(event)) return;
  armed_ = false;
  cursor_.move_to(event);
  owner_.on_ready(*this);
}

// The store was replaced by one that is at least as new. Ids are the same in both.
void Watch::on_install(std::uint64_t replaced_revision) {
  kv::Keyspace& keyspace = owner_.keyspace();
  if (armed_) cursor_.move_after({replaced_revision, 0});
  armed_ = false;
  may_reset_ = true;
  if (state_ == nullptr) return;
  const bool held = state_->pin.holds();
  state_->pin.release();
  if (held && state_->revision >= keyspace.oldest_revision())
    state_->pin = kv::Keyspace::Pin(keyspace, state_->revision);
}

}  // namespace vesper::node
