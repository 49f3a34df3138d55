// The part of the history that no client asked for: compaction, quota, expiry, and the places of
// waiters. And the replies to clients that waited for a lock. Commands are parsed here by the
// documented byte form, without the store's decoder.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "sim/history.hpp"

namespace vesper::sim {
namespace {

constexpr std::uint8_t kVersion = 3;
constexpr std::uint64_t kOfServer = 32;  // the flag of a compaction
enum class Command : std::uint8_t { compact = 3, quota = 4, leave = 11, keep = 12, expire = 13 };

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    const std::string_view digits = take(size);
    for (std::size_t i = 0; i < digits.size(); ++i)
      value |= std::uint64_t{static_cast<unsigned char>(digits[i])} << (8 * i);
    return value;
  }
  std::string text(std::size_t length_size) { return std::string(take(number(length_size))); }
  LockId lock() {
    const auto space = static_cast<Space>(number(1));
    return {space, text(2)};
  }
  bool at_end() const { return good_ && bytes_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    good_ &= size <= bytes_.size();
    if (!good_) return {};
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view bytes_;
  bool good_ = true;
};

// Whether the text names this grant, with no more than the whole time to live.
bool is_grant(const std::string& text, std::uint64_t place, std::uint64_t token, std::int64_t ttl) {
  const std::size_t at = text.rfind(';');
  if (at == std::string::npos) return false;
  const std::int64_t left = std::atoll(text.c_str() + at + 1);
  return left > 0 && left <= ttl && text == text_of_lock("granted", place, token, left);
}

Departure read_departure(Bytes& bytes) {
  Departure departure;
  departure.lock = bytes.lock();
  departure.place = bytes.number(8);
  departure.claim = bytes.number(8);
  departure.boot = bytes.number(8);
  departure.manner = static_cast<Departure::Manner>(bytes.number(1));
  return departure;
}

Due read_due(Bytes& bytes) {
  Due due;
  for (std::uint64_t n = bytes.number(2); n > 0; --n) {
    std::string key = bytes.text(2);
    due.keys.push_back({std::move(key), static_cast<std::int64_t>(bytes.number(8))});
  }
  for (std::uint64_t n = bytes.number(2); n > 0; --n) due.leases.push_back(bytes.number(8));
  for (std::uint64_t n = bytes.number(2); n > 0; --n) {
    LockId lock = bytes.lock();
    due.locks.push_back({std::move(lock), bytes.number(8)});
  }
  for (std::uint64_t n = bytes.number(2); n > 0; --n) {
    const std::uint64_t boot = bytes.number(8);
    due.sessions.push_back({boot, bytes.number(8)});
  }
  return due;
}

}  // namespace

bool History::is_of_server(std::string_view payload) {
  if (payload.size() < 2) return false;
  const auto kind = static_cast<std::uint8_t>(payload[1]);
  return kind >= static_cast<std::uint8_t>(Command::leave) &&
         kind <= static_cast<std::uint8_t>(Command::expire);
}

Violation History::housekept(std::string_view payload, std::int64_t stamp, const Passed& passed,
                             std::uint64_t index) {
  if (auto wrong = comes_at(stamp, passed, index, "a proposal of a server")) return wrong;
  Bytes bytes(payload);
  const bool is_plain = bytes.number(1) == kVersion;
  const auto command = static_cast<Command>(bytes.number(1));
  constexpr const char* kUnknown = "a command that nobody asked for is committed";
  const std::uint64_t flags = command == Command::compact ? kOfServer : 0;
  if (!is_plain || bytes.number(1) != flags) return kUnknown;
  switch (command) {
    case Command::compact: {
      const std::uint64_t revision = bytes.number(8);
      if (!bytes.at_end()) return kUnknown;
      if (auto wrong = may_compact(revision)) return wrong;
      compact(revision);
      return std::nullopt;
    }
    case Command::quota: {
      const bool over = bytes.number(1) == 1;
      if (!bytes.at_end()) return kUnknown;
      report_quota(over);
      return std::nullopt;
    }
    case Command::leave: {
      const Departure departure = read_departure(bytes);
      if (!bytes.at_end()) return kUnknown;
      model_.leave(departure);
      note_gone();
      return std::nullopt;
    }
    case Command::keep: {
      const std::uint64_t boot = bytes.number(8);
      if (!bytes.at_end()) return kUnknown;
      model_.keep_places(boot);
      return std::nullopt;
    }
    case Command::expire: {
      const Due due = read_due(bytes);
      if (!bytes.at_end()) return kUnknown;
      return expired(due);
    }
  }
  return kUnknown;
}

// Deletes make room: once only the newest revision is left, and the store is at its quota still, a
// repeated report begins a revision without events, and nothing that was replaced is kept.
void History::report_quota(bool over) {
  if (over && model_.over_quota() && model_.oldest() == model_.revision() &&
      model_.history_cost() > 0) {
    model_.begin_empty_revision();
    stamps_.resize(model_.revision() + 1, stamp_);
    compact(model_.revision());
  }
  model_.set_over_quota(over);
}

// A proposal may be outdated: what it names was renewed or written again. But the deadline of a key
// that it names must have passed.
Violation History::expired(const Due& due) {
  for (const Due::Key& named : due.keys)
    if (named.deadline > stamp_)
      return fmt::format("T1: the expiry of '{}' is proposed at {} ns, its deadline is {}",
                         named.key, stamp_, named.deadline);
  model_.expire(due);
  stamps_.resize(model_.revision() + 1, stamp_);
  note_gone();
  return std::nullopt;
}

void History::note_gone() {
  stamps_.resize(model_.revision() + 1, stamp_);
  peak_ = std::max(peak_, model_.history_cost());
  for (const auto& [key, outcome] : model_.take_answers())
    if (const auto at = tokens_.find(key); at != tokens_.end()) at->second.outcome = outcome;
  for (const Left& left : model_.take_left()) gone_[left.place] = {left.token, revision()};
}

// T4: the reply to a client that waited for a lock. Its place was granted, and with this token; or
// it left the queue without the lock.
Violation History::judge_waited(Tracked& tracked, Applied& asked, const Outcome& outcome,
                                std::int64_t now) {
  using Kind = Outcome::Kind;
  const Claim& claim = tracked.what.claim;
  const std::uint64_t place = asked.outcome.place;
  const auto wrong = [&](std::string_view what) {
    return fmt::format("T4: {}: place {}, kind {}, revision {}, {}: {}", what, place,
                       static_cast<int>(outcome.kind), outcome.revision, outcome.text,
                       name(tracked));
  };
  const auto at = gone_.find(place);
  if (at == gone_.end()) return wrong("answered, and its place is still in the queue");
  const Gone& gone = at->second;
  asked.told = true;
  if (outcome.revision > revision()) return wrong("a revision that does not exist");
  if (outcome.kind == Kind::done) {
    if (gone.token == 0) return wrong("granted to a place that was not");
    if (!is_grant(outcome.text, place, gone.token, claim.ttl) || outcome.revision != gone.token)
      return wrong(fmt::format("granted with token {}", gone.token));
    tell(outcome.revision, now);
    return sees(tracked, outcome.revision, Effect::new_revision);
  }
  if (outcome.kind != Kind::busy && outcome.kind != Kind::lost) return wrong("a wrong outcome");
  const Seen holder = model_.at(claim.lock.space, claim.lock.name, outcome.revision);
  if (gone.token != 0 && outcome.kind == Kind::busy) return wrong("the lock was granted");
  if (outcome.revision < gone.revision) return wrong("it had not left the queue");
  if (outcome.text != fmt::format("{}", holder.create_revision))
    return wrong(fmt::format("the lock is held with token {}", holder.create_revision));
  tell(outcome.revision, now);
  return sees(tracked, outcome.revision, Effect::none);
}

}  // namespace vesper::sim
