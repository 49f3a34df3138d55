// A model of the data model: every version of every key, and what each request does, as the
// documentation describes it. It shares no code with the store. Results are texts, which the
// store's results are written in, too (translate.cpp), so that comparing them compares everything
// in them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/holdings.hpp"

namespace vesper::sim {

// A key's version as a client sees it.
struct Seen {
  bool present = false;
  std::string value;
  bool json = false;
  std::uint64_t revision = 0, create_revision = 0, version = 0, lease = 0;
  std::int64_t deadline = 0;  // log time, ns; 0: it has none
  bool operator==(const Seen&) const = default;
};

// The keys from `start` up to, but not including, `end`. An empty `end`: to the end.
struct Span {
  std::string start, end;

  static Span of_key(const std::string& key) { return {key, key + '\0'}; }
  bool contains(std::string_view key) const { return key >= start && (end.empty() || key < end); }
};

struct Check {
  // `lock`: the span starts with the name, and the number is the fencing token.
  enum class Target { revision, create_revision, version, lease, exists, value, lock };
  enum class Op { equal, not_equal, less, greater };
  Span span;
  Target target = Target::revision;
  Op op = Op::equal;
  std::uint64_t number = 0;
  std::string value;
};

struct Txn;

// One operation. Which members count depends on its kind.
struct Act {
  enum class Kind { put, get, range, remove, increment, append, min, max, restore, nested };
  enum class Content { values, keys, count };
  Kind kind = Kind::get;
  std::string key;
  Span span;          // range, remove
  std::string value;  // put, append
  bool json = false, keep_value = false, keep_lease = false;
  bool prev = false;  // put, remove: the reply has what was there
  // put: at most one of keep_lease and these.
  std::uint64_t lease = 0;
  std::int64_t ttl = 0;  // ns
  std::int64_t operand = 0;
  std::uint64_t revision = 0;  // get, range: 0: the present one; restore
  std::size_t limit = 0;       // range
  bool descending = false;
  Content content = Content::values;
  std::string separator;
  std::size_t prefix_size = 0;
  std::shared_ptr<const Txn> txn;  // nested
};

struct Txn {
  std::vector<Check> checks;
  std::vector<Act> then, otherwise;
};

// What became of a write, or of a transaction that only reads.
struct Outcome {
  enum class Kind {
    put,
    removed,
    absent,
    failed,
    reused,
    full,
    done,  // anything but a plain put or delete; see `text`
    not_an_integer,
    out_of_range,
    value_too_large,
    reply_too_large,
    range_too_large,
    compacted,
    future,
    conflict,
    not_found,
    quota,
    no_lease,
    busy,
    lost,
    fenced,
    table_limit,
    unauthorized,
    forbidden,
    enabled_already,
    token_exists,
    no_token,
  } kind = Kind::absent;
  std::uint64_t revision = 0, create_revision = 0, version = 0, current_revision = 0;
  bool replayed = false;  // decided by an earlier request with the same idempotency key
  std::string text = {};  // the result of a request of more than a plain put or delete
  std::int64_t time = 0;  // the stamp of the entry that decided it
  // The place that was granted a lock or waits for one; or the lease that was granted.
  std::uint64_t place = 0;
  bool operator==(const Outcome&) const = default;
};

// ---- results as texts

std::string text_of(std::string_view key, const Seen& seen, bool with_value);
std::string text_of_put(const Seen& written, const std::string& now, const std::string& prev);
std::string text_of_delete(std::uint64_t deleted, const std::vector<std::string>& prev);
std::string text_of_get(const std::string& found);
std::string text_of_txn(bool succeeded, const std::vector<std::string>& results);
// The place of an operation that failed, outermost step first: "then[3].else[0]".
std::string text_of_step(std::string_view branch, std::size_t at);
std::string text_of_lease(std::uint64_t lease, std::int64_t ttl, std::uint64_t deleted);
std::string text_of_lock(std::string_view state, std::uint64_t place, std::uint64_t token,
                         std::int64_t ttl);

struct RangeText {
  std::vector<std::string> kvs, prefixes;
  std::uint64_t count = 0;
  bool more = false;
  std::string resume;

  std::string text() const;
};

class Model {
 public:
  struct Version {
    std::uint64_t at = 0;  // the revision
    Seen seen;             // not present: the key was deleted
    bool expired = false;  // a deadline deleted it
  };
  using Versions = std::map<std::string, std::vector<Version>, std::less<>>;
  // One write of one key, or one change of a lock or an election. Its place in its revision counts
  // from 1.
  struct Event {
    std::uint64_t revision = 0;
    std::uint32_t place = 0;
    std::string key;
    Space space = Space::keys;
    bool expired = false;
  };
  enum class Cause : std::uint8_t { client, deadline };
  // A state of the store that a server may hold.
  struct View {
    std::uint64_t revision = 0, oldest = 0;
  };
  // Of the entry that is carried out.
  struct Stamp {
    std::int64_t time = 0;
    std::uint64_t index = 0;
  };
  using Writes = std::vector<std::pair<std::string, Seen>>;
  // What a request does, not yet done.
  struct Result {
    Outcome::Kind kind = Outcome::Kind::done;
    std::string text;
    Writes writes;  // in order; not present: a delete
  };

  static constexpr std::size_t kMostReply = 16u << 20, kMostKeptReply = 64u << 10;  // bytes
  static constexpr std::uint64_t kCost = 96;  // what a version counts for, beside key and value

  // ---- the present

  std::uint64_t revision() const { return revision_; }
  std::uint64_t oldest() const { return oldest_; }
  View present() const { return {revision_, oldest_}; }
  std::size_t keys() const { return present_; }
  bool over_quota() const { return over_quota_; }
  std::uint64_t cost() const { return live_cost_ + history_cost_; }
  std::uint64_t history_cost() const { return history_cost_; }

  // ---- reading

  Seen at(std::string_view key, std::uint64_t revision) const {
    return at(Space::keys, key, revision);
  }
  Seen at(Space space, std::string_view key, std::uint64_t revision) const;
  Seen now(std::string_view key) const { return at(key, revision_); }
  const Versions& versions(Space space = Space::keys) const {
    return versions_[static_cast<std::size_t>(space)];
  }
  // All events ever, in order.
  const std::vector<Event>& events() const { return events_; }
  // The first of the events that compaction has left.
  std::size_t first_event() const { return first_event_; }
  // What the event replaced.
  Seen before(const Event& event) const { return at(event.space, event.key, event.revision - 1); }
  // Whether the lock or the election of this name was held with this token at a revision.
  bool was_held(std::string_view name, std::uint64_t token, std::uint64_t revision) const;
  const Holdings& holdings() const { return holdings_; }
  // When a key with this newest version ends by itself; kNeverEnds: never.
  std::int64_t end_of(const Seen& seen) const;
  // The first instant at which a key ends by itself; kNeverEnds if there is none.
  std::int64_t next_key_end() const;
  // The first instant at which something ends by itself; kNeverEnds if there is nothing.
  std::int64_t next_end() const;
  RangeText range(const Act& query, std::uint64_t revision) const;
  // The readable versions of a key, newest first.
  std::string history(std::string_view key, std::size_t limit, const View& view) const;
  // Every value of `oldest` that a server of this revision may have had.
  std::vector<std::uint64_t> oldest_at(std::uint64_t revision) const;

  // ---- requests

  // Evaluates a request at a state, under the limit of its reply.
  Result evaluate(const Act& act, const View& view, std::size_t most_reply) const;
  Result evaluate(const Txn& txn, const View& view, std::size_t most_reply) const;

  // ---- changes

  // The entry that the following changes belong to.
  void begin(const Stamp& stamp) { stamp_ = stamp; }
  // Adds what a request has written, as one revision. No writes: nothing happens.
  void commit(const Writes& writes, Space space = Space::keys, Cause cause = Cause::client);
  void begin_empty_revision() { ++revision_; }
  // Requires oldest() <= `revision` <= revision().
  void compact(std::uint64_t revision);
  void set_over_quota(bool over) { over_quota_ = over; }

  // ---- leases, locks and elections (model_time.cpp)

  // Carries out a claim and returns its outcome. The idempotency key may be empty.
  Outcome carry_out(const Claim& claim, const std::string& idempotency_key);
  // The same claim again, which had got `kept`. What lasts only for a time is looked at again.
  Outcome repeat(const Claim& claim, const std::string& idempotency_key, const Outcome& kept);
  Outcome refuse(Outcome::Kind kind, std::uint64_t limit) const;

  // ---- tokens (model_access.cpp)

  Outcome carry_out(const AccessAct& act);
  // Null if the token is unknown, another one of its name, revoked, or has expired.
  const Badge* badge_of(const std::optional<Who>& who) const;
  bool needs_tokens() const { return holdings_.needs_tokens; }
  // The token ends a lease and with it these keys.
  bool may_end_lease(const Badge& badge, std::uint64_t lease) const;

  void leave(const Departure& departure);
  void keep_places(std::uint64_t boot);
  void expire(const Due& due);
  // True if places of this process have lapsed, because it could not renew them in time.
  bool has_lapsed(std::uint64_t boot) const { return lapsed_.contains(boot); }
  // Returns and clears the places that have left their queues.
  std::vector<Left> take_left() { return std::exchange(left_, {}); }
  // Returns and clears the outcomes, by idempotency key, of claims that had waited or were
  // repeated.
  std::vector<std::pair<std::string, Outcome>> take_answers() {
    return std::exchange(answers_, {});
  }

 private:
  friend class Trial;
  struct Floor {
    std::uint64_t oldest = 0;
    std::uint64_t since = 0;  // the store's revision when it was set
  };
  Outcome done(std::string text, std::uint64_t place = 0) const;
  Outcome queued(std::uint64_t place) const;
  Outcome acquire(const Claim& claim, const std::string& idempotency_key);
  Outcome resume(const Claim& claim, const std::string& idempotency_key, const Outcome& kept);
  void answer(const std::string& idempotency_key, const Outcome& outcome) {
    if (!idempotency_key.empty()) answers_.emplace_back(idempotency_key, outcome);
  }
  Outcome renew(const Claim& claim);
  Outcome grant(const LockId& lock, std::uint64_t place, std::int64_t ttl,
                const std::string& value);
  void pass_on(const LockId& lock, Cause cause);
  void remove_waiter(std::uint64_t place, std::uint64_t token);
  void move_waiter(std::uint64_t place, const Session& session, std::uint64_t claim);
  std::uint64_t end_lease(std::uint64_t lease, Cause cause);
  void expire_keys(const std::vector<Due::Key>& keys);

  static std::uint64_t cost_of(std::string_view key, const Seen& seen) {
    return kCost + key.size() + seen.value.size();
  }
  std::uint64_t dropped_by(const Event& event) const;

  Versions versions_[kSpaces];
  Holdings holdings_;
  Stamp stamp_;
  std::vector<Left> left_;
  std::set<std::uint64_t> lapsed_;
  std::vector<std::pair<std::string, Outcome>> answers_;
  std::vector<Event> events_;
  std::size_t first_event_ = 0;  // with a revision of at least oldest_
  std::vector<Floor> floors_ = {{1, 0}};
  std::uint64_t revision_ = 1, oldest_ = 1;
  std::size_t present_ = 0;
  std::uint64_t live_cost_ = 0, history_cost_ = 0;
  bool over_quota_ = false;
};

}  // namespace vesper::sim
