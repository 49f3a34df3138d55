#include "node/watch_stream.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {

WatchStream::WatchStream(WatchHost& host, RangeWaits& waits, const Ticket& ticket,
                         WatchRequest request, Instant now)
    : host_(host), waits_(waits), ticket_(ticket), request_(std::move(request)), output_at_(now) {}

WatchStream::~WatchStream() {
  const std::vector<SpaceRange>& ranges = filter().ranges();
  for (std::size_t i = 0; i < entries_.size(); ++i)
    waits_.remove(ranges[i].space, ranges[i].range, entries_[i]);
  host_.on_closed(*this);
}

WatchStream::Next WatchStream::next(Instant now, std::size_t& budget, WatchItem& item) {
  const auto yield = [&] {
    if (closes_) return close(*closes_, item);
    if (said_stale_ != host_.is_stale()) {
      said_stale_ = !said_stale_;
      item = WatchMark{said_stale_ ? WatchMark::Kind::stale : WatchMark::Kind::fresh,
                       host_.keyspace().revision()};
      return Next::item;
    }
    if (phase_ == Phase::opening || (phase_ == Phase::asking && leader_asked_)) {
      if (auto first = open(now)) {
        item = std::move(*first);
        return Next::item;
      }
    }
    if (phase_ == Phase::state) return next_of_state(now, budget, item);
    if (phase_ == Phase::events) return next_event(now, budget, item);
    // The leader has not answered yet.
    if (!std::exchange(says_progress_, false)) return Next::waiting;
    item = WatchMark{};
    return Next::item;
  };
  if (phase_ == Phase::closed) return Next::finished;
  const Next next = yield();
  if (next == Next::item) host_.on_output(*this, item, now);
  return next;
}

// ---- the beginning ------------------------------------------------------------------------

// Returns what the stream begins with, if there is something.
std::optional<WatchItem> WatchStream::open(Instant now) {
  const std::uint64_t revision = host_.keyspace().revision();
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

std::optional<WatchItem> WatchStream::open_after(WatchId since, Instant now) {
  const kv::Keyspace& keyspace = host_.keyspace();
  if (since.revision > keyspace.revision()) {
    // Either this node lags, or the id is of another history. The leader knows.
    if (leader_asked_) return begin_reset(now);
    if (phase_ == Phase::opening) host_.ask(*this);
    phase_ = Phase::asking;
    return std::nullopt;
  }
  cursor_.move_after(since);
  if (!cursor_.is_kept(keyspace)) return begin_reset(now);
  phase_ = Phase::events;
  return std::nullopt;
}

WatchItem WatchStream::begin_reset(Instant now) {
  begin_state(now);
  return WatchMark{WatchMark::Kind::reset, state_->revision};
}

// The leader's store had a revision that this node has now reached.
void WatchStream::on_leader_revision() {
  leader_asked_ = true;
  host_.wake(*this);
}

// ---- the present state --------------------------------------------------------------------

void WatchStream::begin_state(Instant now) {
  kv::Keyspace& keyspace = host_.keyspace();
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

WatchStream::Next WatchStream::next_of_state(Instant now, std::size_t& budget, WatchItem& item) {
  kv::Keyspace& keyspace = host_.keyspace();
  State& state = *state_;
  release_old_pin(now);
  if (std::exchange(says_progress_, false)) {
    item = WatchMark{};
    return Next::item;
  }
  while (state.at == state.found.size()) {
    if (state.range == filter().ranges().size()) {
      item = WatchMark{WatchMark::Kind::synced, state.revision};
      cursor_.move_after({state.revision, 0});
      state_.reset();
      phase_ = Phase::events;
      return Next::item;
    }
    if (!state.pin.holds() && state.revision < keyspace.oldest_revision()) {
      if (!may_reset_) return close(WatchClosed::Why::too_slow, item);
      item = begin_reset(now);
      return Next::item;
    }
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

// A client that reads slowly must not keep old versions in memory for ever.
void WatchStream::release_old_pin(Instant now) {
  if (state_ != nullptr && now - state_->began > kMaxPin) state_->pin.release();
}

// ---- events -------------------------------------------------------------------------------

WatchStream::Next WatchStream::next_event(Instant now, std::size_t& budget, WatchItem& item) {
  const kv::Keyspace& keyspace = host_.keyspace();
  if (!armed_) {
    WatchCursor::Event event;
    switch (cursor_.advance(keyspace, filter(), budget, event)) {
      case WatchCursor::Step::event:
        if (request_.prev == kv::Prev::omit) event.replaced = kv::VersionRef();
        item = WatchEvent{std::move(event.version), std::move(event.replaced), event.more};
        says_progress_ = false;
        return Next::item;
      case WatchCursor::Step::unfinished:
        if (!says_progress_ || !cursor_.is_between_revisions()) return Next::later;
        says_progress_ = false;
        item = WatchMark{WatchMark::Kind::progress, cursor_.passed()};
        return Next::item;
      case WatchCursor::Step::compacted:
        if (!may_reset_) return close(WatchClosed::Why::too_slow, item);
        item = begin_reset(now);
        return Next::item;
      case WatchCursor::Step::caught_up: arm(); break;
    }
  }
  if (!std::exchange(says_progress_, false)) return Next::waiting;
  item = WatchMark{WatchMark::Kind::progress, keyspace.revision()};
  return Next::item;
}

void WatchStream::arm() {
  armed_ = true;
  may_reset_ = false;
  if (!entries_.empty()) return;
  entries_.reserve(filter().ranges().size());
  for (const SpaceRange& one : filter().ranges())
    entries_.push_back(waits_.add(one.space, one.range, *this));
}

void WatchStream::on_change(const kv::Version& event) {
  if (!armed_ || !filter().takes(event)) return;
  armed_ = false;
  cursor_.move_to(event);
  host_.wake(*this);
}

// The store was replaced by one that is at least as new. Ids are the same in both.
void WatchStream::on_install(std::uint64_t replaced_revision) {
  kv::Keyspace& keyspace = host_.keyspace();
  if (armed_) cursor_.move_after({replaced_revision, 0});
  armed_ = false;
  may_reset_ = true;
  if (state_ == nullptr) return;
  const bool held = state_->pin.holds();
  state_->pin.release();
  if (held && state_->revision >= keyspace.oldest_revision())
    state_->pin = kv::Keyspace::Pin(keyspace, state_->revision);
}

void WatchStream::on_quiet(Instant now) {
  says_progress_ = true;
  release_old_pin(now);
}

WatchStream::Next WatchStream::close(WatchClosed::Why why, WatchItem& item) {
  phase_ = Phase::closed;
  armed_ = false;
  state_.reset();
  item = WatchClosed{why};
  return Next::item;
}

}  // namespace vesper::node
