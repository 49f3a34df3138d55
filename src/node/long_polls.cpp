#include "node/long_polls.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace vesper::node {

LongPoll::LongPoll(LongPolls& polls, RangeWaits& waits, Key key, const kv::KeyRange& range,
                   std::uint64_t since)
    : polls_(polls),
      waits_(waits),
      key_(key),
      filter_({{kv::Space::keys, range}}, WatchFilter::Kinds::all),
      since_(since) {
  VESPER_ASSERT(filter_.ranges().size() == 1);
  VESPER_ASSERT(polls_.polls_.emplace(key_, this).second);
  entry_ = waits_.add(kv::Space::keys, filter_.ranges().front().range, *this);
}

LongPoll::~LongPoll() {
  waits_.remove(kv::Space::keys, filter_.ranges().front().range, entry_);
  polls_.polls_.erase(key_);
}

void LongPoll::on_change(const kv::Version& event) {
  if (event.revision() <= since_) return;
  changed_ = true;
  polls_.make_due(key_);
}

void LongPolls::add(ClientRead read, const kv::Keyspace& keyspace, Instant now) {
  const ChangeWait& wait = *read.wait;
  const LongPoll::Key key{read.ticket.connection, read.ticket.request};
  const std::uint64_t since = wait.since.value_or(keyspace.revision());
  read.poll = std::make_shared<LongPoll>(*this, waits_, key, wait.range, since);
  LongPoll& poll = *read.poll;
  const Instant until = std::max(now, wait.until);
  const Duration patience = read.deadline - now;
  parked_.emplace(key, Parked{std::move(read), until, patience});
  ends_.emplace(until, key);
  if (since < keyspace.revision()) {
    poll.search_.emplace(WatchId{since, 0});
    searching_.push_back(key);
  }
}

void LongPolls::search(const kv::Keyspace& keyspace) {
  std::size_t budget = kVisitsPerTurn;
  while (!searching_.empty() && budget > 0) {
    const auto at = polls_.find(searching_.front());
    if (at != polls_.end() && at->second->search_) {
      LongPoll& poll = *at->second;
      WatchCursor::Event event;
      const auto step = poll.search_->advance(keyspace, poll.filter_, budget, event);
      if (step == WatchCursor::Step::unfinished) return;
      poll.search_.reset();
      // If the history is too short to tell, the client gets the present state.
      if (step != WatchCursor::Step::caught_up) {
        poll.changed_ = true;
        make_due(poll.key_);
      }
    }
    searching_.pop_front();
    budget -= std::min<std::size_t>(budget, 1);
  }
}

void LongPolls::make_due(LongPoll::Key key) {
  const auto at = parked_.find(key);
  if (at == parked_.end() || std::exchange(at->second.is_due, true)) return;
  ends_.erase({at->second.until, key});
  due_.push_back(key);
}

void LongPolls::expire(Instant now) {
  while (!ends_.empty() && ends_.begin()->first <= now) {
    const LongPoll::Key key = ends_.begin()->second;
    make_due(key);
  }
}

std::vector<ClientRead> LongPolls::take_due(Instant now) {
  std::vector<ClientRead> reads;
  for (const LongPoll::Key& key : std::exchange(due_, {})) {
    const auto at = parked_.find(key);
    if (at == parked_.end()) continue;
    ClientRead& read = reads.emplace_back(std::move(at->second.read));
    read.deadline = now + at->second.patience;
    parked_.erase(at);
  }
  return reads;
}

Instant LongPolls::deadline(Instant now) const {
  if (!searching_.empty() || !due_.empty()) return now;
  return ends_.empty() ? kNever : ends_.begin()->first;
}

void LongPolls::on_install(std::uint64_t replaced_revision) {
  for (const auto& [key, poll] : polls_) {
    const auto at = parked_.find(key);
    if (at == parked_.end()) {
      poll->changed_ = true;  // it is being read, and there is no time for a search
    } else if (!poll->search_) {
      poll->search_.emplace(WatchId{std::max(poll->since_, replaced_revision), 0});
      searching_.push_back(key);
    }
  }
}

LongPolls::Parks::iterator LongPolls::unpark(Parks::iterator parked) {
  ends_.erase({parked->second.until, parked->first});
  return parked_.erase(parked);
}

void LongPolls::leave(std::uint64_t connection) {
  auto at = parked_.lower_bound({connection, 0});
  while (at != parked_.end() && at->first.first == connection) at = unpark(at);
}

std::vector<Ticket> LongPolls::clear() {
  std::vector<Ticket> tickets;
  for (auto at = parked_.begin(); at != parked_.end(); at = unpark(at))
    tickets.push_back(at->second.read.ticket);
  due_.clear();
  searching_.clear();
  return tickets;
}

}  // namespace vesper::node
