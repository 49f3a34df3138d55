// What the model of the store knows about things that end by themselves: deadlines, leases, locks
// and elections with their holders and queues. The changes are in model_time.cpp. It shares no code
// with the store. All times are log time in ns: the stamps of committed entries.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vesper::sim {

inline constexpr std::int64_t kNeverEnds = INT64_MAX;
inline constexpr std::int64_t kPlacesKept = 2'000'000'000;  // after a session's last renewal

enum class Space : std::uint8_t { keys, locks, elections };
inline constexpr std::size_t kSpaces = 3;

// `ttl` after `now`; a sum beyond 64 bits never ends.
constexpr std::int64_t end_after(std::int64_t now, std::int64_t ttl) {
  return now > kNeverEnds - ttl ? kNeverEnds : now + ttl;
}

struct LockId {
  Space space = Space::locks;
  std::string name;
  auto operator<=>(const LockId&) const = default;
};

struct Lease {
  enum class State : std::uint8_t { active, ended, expired } state = State::active;
  std::int64_t ttl = 0, deadline = 0;
  bool operator==(const Lease&) const = default;
};

struct Holder {
  std::uint64_t place = 0, token = 0;
  std::int64_t ttl = 0, deadline = 0;
  bool operator==(const Holder&) const = default;
};

// The places of one process of a server, or (boot 0) one place that its client has left for now.
struct Session {
  std::uint64_t boot = 0, place = 0;
  auto operator<=>(const Session&) const = default;
};

struct Waiter {
  LockId lock;
  Session session;
  std::uint64_t claim = 0;  // the index of the entry that claimed the place last
  std::int64_t ttl = 0;
  std::string value;
  std::string idempotency_key;
  bool operator==(const Waiter&) const = default;
};

// What a token allows: 'r'ead, 'w'rite, 'l'ock, 'a'dmin or 'm'etrics. The first three are for the
// keys or names that begin with `text`, or for the one that is equal to it.
struct Grant {
  char right = 'r';
  bool exact = false;
  std::string text;
  bool operator==(const Grant&) const = default;
};

struct Badge {
  std::uint64_t id = 0;  // the index of the entry that made it
  std::int64_t expires = kNeverEnds;
  std::vector<Grant> grants;
  bool operator==(const Badge&) const = default;
};

// Who asks, as the request says.
struct Who {
  std::string name;
  std::uint64_t id = 0;
  bool operator==(const Who&) const = default;
};

// What a client asks of the tokens.
struct AccessAct {
  enum class Kind { enable, disable, add, revoke } kind = Kind::enable;
  std::string name;
  std::uint64_t secret = 0;  // the command has a hash that is made of it
  std::int64_t ttl = 0;      // ns; 0: it does not expire
  std::vector<Grant> grants;
};

struct Holdings {
  bool needs_tokens = false;
  std::map<std::string, Badge> badges;  // by name
  std::map<std::uint64_t, Lease> leases;
  std::map<LockId, Holder> holders;
  std::map<std::uint64_t, Waiter> waiters;   // by place: the index of the entry that asked
  std::map<Session, std::int64_t> sessions;  // and when their places lapse

  bool operator==(const Holdings&) const = default;
  bool is_active(std::uint64_t lease) const {
    const auto at = leases.find(lease);
    return at != leases.end() && at->second.state == Lease::State::active;
  }
  const Holder* holder(const LockId& lock) const {
    const auto at = holders.find(lock);
    return at == holders.end() ? nullptr : &at->second;
  }
  // The token of the present holder; 0 if there is none.
  std::uint64_t token_of(const LockId& lock) const {
    const Holder* here = holder(lock);
    return here == nullptr ? 0 : here->token;
  }
};

// What a client asks of a lease, a lock or an election.
struct Claim {
  enum class Kind { grant, renew_lease, end_lease, acquire, renew, release } kind = Kind::grant;
  LockId lock;
  std::int64_t ttl = 0;
  std::uint64_t number = 0;  // the lease, or the fencing token
  std::uint64_t boot = 0;    // acquire: of the server that is asked
  std::uint64_t most = UINT64_MAX, most_waiters = UINT64_MAX;
  std::int64_t wait = 0;             // acquire: 0: does not queue; not part of the command
  std::optional<std::string> value;  // acquire, renew
};

// A write is carried out only while a lock or an election of this name is held with this token. The
// client knows which of the two it holds; the command does not say it.
struct Fence {
  LockId lock;
  std::uint64_t token = 0;
  bool guessed = false;  // by a client that holds nothing: it may name the wrong one of the two
};

// What a server says about one of its places.
struct Departure {
  enum class Manner { timed_out = 1, hung_up, disconnected } manner = Manner::timed_out;
  LockId lock;
  std::uint64_t place = 0, claim = 0, boot = 0;
};

// What a leader has found to be due.
struct Due {
  struct Key {
    std::string key;
    std::int64_t deadline = 0;
  };
  struct Lock {
    LockId lock;
    std::uint64_t token = 0;
  };
  std::vector<Key> keys;
  std::vector<std::uint64_t> leases;
  std::vector<Lock> locks;
  std::vector<Session> sessions;
};

// A place that left its queue.
struct Left {
  std::uint64_t place = 0;
  std::uint64_t token = 0;  // of the grant; 0: given up or lapsed
};

}  // namespace vesper::sim
