#include "node/expiry.hpp"

#include <algorithm>
#include <iterator>

namespace vesper::node {
namespace {

// Commands in flight: those of two turns, so that the disks write the ones while the processors
// propose and apply the others. Not many, and of few keys, because a client's write waits for those
// in front.
constexpr std::size_t kPerTurn = 4;
constexpr std::size_t kMaxInFlight = 2 * kPerTurn;
constexpr std::size_t kItems = kv::kMaxExpired / 2;  // in one command
// How long to wait if nothing could be proposed, and the least that a wait lasts.
constexpr Duration kRetry = milliseconds(5);

std::size_t room_in(const kv::Expire& expire) {
  return kItems -
         (expire.keys.size() + expire.leases.size() + expire.locks.size() + expire.sessions.size());
}

}  // namespace

// Keys are named in the order of their deadlines. A key that appears before those of the first
// command in flight was written meanwhile.
void Expiry::name_keys(const kv::Store& store, kv::LogTime log_time, kv::Expire& expire) {
  const auto& keys = store.keyspace().temporary_keys().by_deadline();
  const auto name = [&](auto at, auto end) {
    for (; at != end && (*at)->deadline() <= log_time && room_in(expire) > 0; ++at)
      expire.keys.push_back({SharedBytes::copy_of((*at)->key()), (*at)->deadline()});
  };
  const auto after = [&](const MaybePlace& place) {
    return place ? keys.upper_bound(kv::DeadlineOrder::Due{place->deadline, place->key})
                 : keys.begin();
  };
  if (!in_flight_.empty()) name(keys.begin(), after(in_flight_.front().begins));
  const std::size_t early = expire.keys.size();
  name(after(named_), keys.end());
  next_.begins = named_;
  if (expire.keys.size() == early) return;
  const kv::Expire::Key& last = expire.keys.back();
  named_ = Place{last.deadline, std::string(last.key.view())};
}

void Expiry::name_others(const kv::Store& store, kv::LogTime log_time, kv::Expire& expire) {
  const auto name = [&](const auto& deadlines, const auto& take) {
    for (const auto& [deadline, what] : deadlines) {
      if (deadline > log_time || room_in(expire) == 0) return;
      take(what);
    }
  };
  name(store.locks().sessions_by_deadline(),
       [&](const kv::SessionId& session) { expire.sessions.push_back(session); });
  for (const kv::LockName& lock : store.locks().to_pass_on()) {
    if (room_in(expire) == 0) return;
    expire.locks.push_back({lock, 0});
  }
  name(store.locks().by_deadline(), [&](const kv::LockName& lock) {
    expire.locks.push_back({lock, store.locks().holder(lock)->token});
  });
  for (const auto& [deadline, lease] : store.leases().over()) {
    if (room_in(expire) == 0) return;
    expire.leases.push_back(lease);
  }
  name(store.leases().by_deadline(), [&](std::uint64_t lease) { expire.leases.push_back(lease); });
}

std::optional<kv::Expire> Expiry::next_command(const kv::Store& store, kv::LogTime log_time) {
  if (in_flight_.size() >= kMaxInFlight || store.next_expiry() > log_time) return std::nullopt;
  if (proposed_ == kPerTurn) {
    continues_ = true;
    return std::nullopt;
  }
  kv::Expire expire;
  next_ = {};
  const auto names_others = [](const InFlight& command) { return command.names_others; };
  if (std::none_of(in_flight_.begin(), in_flight_.end(), names_others))
    name_others(store, log_time, expire);
  next_.names_others = !expire.empty();
  name_keys(store, log_time, expire);
  if (expire.empty()) return std::nullopt;
  return expire;
}

void Expiry::proposed(raft::Index index) {
  next_.index = index;
  in_flight_.push_back(std::move(next_));
  ++proposed_;
}

void Expiry::begin_turn(raft::Index index) {
  proposed_ = 0;
  continues_ = false;
  while (!in_flight_.empty() && in_flight_.front().index <= index) in_flight_.pop_front();
  if (in_flight_.empty()) named_.reset();
}

void Expiry::forget() {
  in_flight_.clear();
  named_.reset();
  continues_ = false;
}

Instant Expiry::deadline(const kv::Store& store, kv::LogTime log_time, Instant now) const {
  const kv::LogTime next = store.next_expiry();
  if (next == kv::kEndOfLogTime) return kNever;
  if (continues_) return now;
  if (!in_flight_.empty()) return now + kRetry;
  // A year is enough, and does not overflow.
  return now + std::clamp(kv::left_until(next, log_time), kRetry, seconds(365 * 86'400));
}

}  // namespace vesper::node
