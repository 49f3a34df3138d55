#include "node/watches.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace vesper::node {

Watches::~Watches() {
  VESPER_ASSERT(streams_.empty());
}

std::unique_ptr<WatchStream> Watches::open(const Ticket& ticket, Instant now) {
  WatchHost& host = *this;
  auto stream = std::make_unique<WatchStream>(host, waits_, ticket, now);
  stream->place_ = streams_.insert(streams_.end(), stream.get());
  stream->number_ = ++last_number_;
  numbered_.emplace_hint(numbered_.end(), last_number_, stream.get());
  if (diverged_) stream->on_diverged();
  return stream;
}

std::unique_ptr<WatchStream> Watches::open(const Ticket& ticket, WatchRequest request,
                                           Instant now) {
  if (!has_room(request.filter.ranges().size())) return nullptr;
  auto stream = open(ticket, now);
  const bool added = stream->add(0, std::move(request));
  VESPER_ASSERT(added);
  return stream;
}

bool Watches::has_room(std::size_t ranges) const {
  if (figures_.watches >= max_watches_) return false;
  return figures_.watches == 0 || figures_.ranges + ranges <= max_ranges();
}

void Watches::on_added(const Watch& watch) {
  ++figures_.watches;
  figures_.ranges += watch.filter().ranges().size();
}

void Watches::on_removed(Watch& watch) {
  --figures_.watches;
  figures_.ranges -= watch.filter().ranges().size();
  std::erase(asking_, &watch);
}

void Watches::on_closed(WatchStream& stream) {
  streams_.erase(stream.place_);
  numbered_.erase(stream.number_);
  if (stream.is_woken_) std::erase(woken_, &stream);
}

// ---- what streams tell --------------------------------------------------------------------

void Watches::wake(WatchStream& stream) {
  if (std::exchange(stream.is_woken_, true)) return;
  woken_.push_back(&stream);
}

void Watches::ask(Watch& watch) {
  watch.batch_ = 0;
  asking_.push_back(&watch);
  has_question_ = true;
}

void Watches::on_output(WatchStream& stream, const WatchItem& item, Instant now) {
  stream.output_at_ = now;
  streams_.splice(streams_.end(), streams_, stream.place_);
  if (std::holds_alternative<WatchEvent>(item)) ++figures_.events;
  const auto* mark = std::get_if<WatchMark>(&item);
  if (mark != nullptr && mark->kind == WatchMark::Kind::reset) ++figures_.resets;
  const auto* closed = std::get_if<WatchClosed>(&item);
  if (closed != nullptr && closed->why == WatchClosed::Why::too_slow) ++figures_.too_slow;
}

// ---- what the node tells ------------------------------------------------------------------

void Watches::set_store(kv::Keyspace& keyspace, std::uint64_t replaced_revision) {
  keyspace_ = &keyspace;
  for (WatchStream* stream : streams_) stream->on_install(replaced_revision);
  if (!streams_.empty()) untold_ = 0;
}

void Watches::set_stale(bool stale) {
  if (stale_ == stale) return;
  stale_ = stale;
  if (!streams_.empty()) untold_ = 0;
}

void Watches::set_diverged() {
  diverged_ = true;
  for (WatchStream* stream : streams_) stream->on_diverged();
  if (!streams_.empty()) untold_ = 0;
}

void Watches::join(ReadBatcher& reads) {
  if (!std::exchange(has_question_, false) || asking_.empty()) return;
  const std::uint64_t batch = reads.join(kConnection, ReadLevel::linearizable);
  for (Watch* watch : asking_)
    if (watch->batch_ == 0) watch->batch_ = batch;
}

void Watches::on_read_index(std::uint64_t batch, raft::Index index) {
  answer_ = index;
  answered_below_ = batch;
}

// Streams that this node has nothing to tell are woken when they were silent for kQuiet.
void Watches::wake_quiet(Instant now) {
  for (std::size_t i = 0; i < kWakesPerTurn && !streams_.empty(); ++i) {
    WatchStream& stream = *streams_.front();
    if (now - stream.output_at_ < kQuiet) return;
    stream.output_at_ = now;
    streams_.splice(streams_.end(), streams_, stream.place_);
    stream.on_quiet(now);
    wake(stream);
  }
}

void Watches::wake_untold() {
  if (!untold_) return;
  auto at = numbered_.lower_bound(*untold_);
  for (std::size_t i = 0; i < kWakesPerTurn && at != numbered_.end(); ++i, ++at) wake(*at->second);
  if (at == numbered_.end()) untold_.reset();
  else untold_ = at->first;
}

void Watches::end_turn(raft::Index applied, Clients& clients, Instant now) {
  if (streams_.empty()) return;
  if (answer_ && *answer_ <= applied) {
    answer_.reset();
    std::erase_if(asking_, [this](Watch* watch) {
      const bool is_answered = watch->batch_ != 0 && watch->batch_ < answered_below_;
      if (is_answered) watch->on_leader_revision();
      return is_answered;
    });
  }
  wake_quiet(now);
  wake_untold();
  for (WatchStream* stream : woken_) stream->is_woken_ = false;
  for (const WatchStream* stream : std::exchange(woken_, {})) clients.wake(stream->ticket());
}

Instant Watches::deadline(Instant now) const {
  if (streams_.empty()) return kNever;
  return untold_ ? now : streams_.front()->output_at_ + kQuiet;
}

}  // namespace vesper::node
