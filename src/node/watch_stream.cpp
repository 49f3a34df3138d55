#include "node/watch_stream.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace vesper::node {

WatchStream::WatchStream(WatchHost& host, RangeWaits& waits, const Ticket& ticket, Instant now)
    : host_(host), waits_(waits), ticket_(ticket), output_at_(now) {}

WatchStream::~WatchStream() {
  for (auto& [number, watch] : watches_) host_.on_removed(watch);
  host_.on_closed(*this);
}

// ---- the set of watches -------------------------------------------------------------------

bool WatchStream::add(std::uint64_t number, WatchRequest request) {
  if (!host_.has_room(request.filter.ranges().size())) return false;
  WatchOwner& owner = *this;
  const auto [at, is_new] = watches_.try_emplace(number, owner, waits_, number, std::move(request));
  VESPER_ASSERT(is_new);
  at->second.place_ = ready_.insert(ready_.end(), &at->second);
  ended_ = false;
  host_.on_added(at->second);
  return true;
}

bool WatchStream::remove(std::uint64_t number) {
  const auto at = watches_.find(number);
  if (at == watches_.end()) return false;
  erase(at->second);
  return true;
}

void WatchStream::erase(Watch& watch) {
  host_.on_removed(watch);
  (watch.is_idle_ ? idle_ : ready_).erase(watch.place_);
  watches_.erase(watch.number());
}

void WatchStream::set_idle(Watch& watch) {
  if (std::exchange(watch.is_idle_, true)) return;
  idle_.splice(idle_.end(), ready_, watch.place_);
}

void WatchStream::set_ready(Watch& watch) {
  if (!std::exchange(watch.is_idle_, false)) return;
  ready_.splice(ready_.end(), idle_, watch.place_);
}

void WatchStream::on_ready(Watch& watch) {
  set_ready(watch);
  host_.wake(*this);
}

void WatchStream::on_install(std::uint64_t replaced_revision) {
  for (auto& [number, watch] : watches_) {
    watch.on_install(replaced_revision);
    set_ready(watch);
  }
}

void WatchStream::on_quiet(Instant now) {
  for (auto& [number, watch] : watches_) {
    watch.release_old_pin(now);
    quiet_ |= watch.wants_progress();
  }
}

// ---- progress -----------------------------------------------------------------------------

std::optional<std::uint64_t> WatchStream::reached() const {
  std::uint64_t all = host_.keyspace().revision();
  for (const auto& [number, watch] : watches_) {
    const auto one = watch.reached();
    if (!one) return std::nullopt;
    all = std::min(all, *one);
  }
  return all;
}

bool WatchStream::is_kept() const {
  return !ended_ && !diverged_ &&
         std::all_of(watches_.begin(), watches_.end(),
                     [](const auto& one) { return one.second.is_kept(); });
}

// The mark that is due, if it can be given now.
std::optional<WatchMark> WatchStream::progress() const {
  if (!quiet_ && !progress_asked_) return std::nullopt;
  if (const auto revision = reached()) return WatchMark{WatchMark::Kind::progress, *revision};
  const bool begins = std::any_of(watches_.begin(), watches_.end(),
                                  [](const auto& one) { return !one.second.is_in_events(); });
  if (quiet_ && begins) return WatchMark{WatchMark::Kind::alive};
  return std::nullopt;
}

// ---- items --------------------------------------------------------------------------------

WatchStream::Next WatchStream::next(Instant now, std::size_t& budget, WatchOutput& output) {
  if (ended_) return Next::finished;
  const Next next = choose(now, budget, output);
  if (next == Next::item) host_.on_output(*this, output.item, now);
  return next;
}

WatchStream::Next WatchStream::choose(Instant now, std::size_t& budget, WatchOutput& output) {
  output.watch.reset();
  if (diverged_) {
    while (!watches_.empty()) erase(watches_.begin()->second);
    ended_ = true;
    output.item = WatchClosed{WatchClosed::Why::diverged};
    return Next::item;
  }
  if (said_stale_ != host_.is_stale()) {
    said_stale_ = !said_stale_;
    output.item = WatchMark{said_stale_ ? WatchMark::Kind::stale : WatchMark::Kind::fresh,
                            host_.keyspace().revision()};
    return Next::item;
  }
  const Next next = next_of_watches(now, budget, output);
  if (next == Next::item) {
    quiet_ = false;
    return next;
  }
  if (const auto mark = progress()) {
    quiet_ = false;
    if (mark->kind == WatchMark::Kind::progress) progress_asked_ = false;
    output.item = *mark;
    return Next::item;
  }
  return next;
}

// Asks each watch in turn.
WatchStream::Next WatchStream::next_of_watches(Instant now, std::size_t& budget,
                                               WatchOutput& output) {
  while (!ready_.empty()) {
    Watch& watch = *ready_.front();
    const std::size_t share = ready_.size() == 1 ? budget : std::min(budget, kShare);
    std::size_t left = share;
    const Watch::Next next = watch.next(now, left, output.item);
    budget -= share - left;
    if (next == Watch::Next::waiting) {
      set_idle(watch);
      continue;
    }
    ready_.splice(ready_.end(), ready_, watch.place_);
    if (next == Watch::Next::item) {
      output.watch = watch.number();
      if (!std::holds_alternative<WatchClosed>(output.item)) return Next::item;
      erase(watch);
      ended_ = watches_.empty();
      return Next::item;
    }
    if (budget == 0) return Next::later;
  }
  return Next::waiting;
}

}  // namespace vesper::node
