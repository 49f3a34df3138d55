// Checks the replies to clients against a model of the store. The model applies operations in the
// order in which they were committed, and shares no code with the store.
//
// This proves linearizability: every reply agrees with the model at one point of that order (a
// write at its own point, a read at the revision that it names). No point lies before one that had
// been answered when the operation was invoked. Stale reads are checked against their own promise.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/fenced_writes.hpp"
#include "sim/log_clock.hpp"
#include "sim/model.hpp"
#include "sim/revoked_writes.hpp"

namespace vesper::sim {

// If-Match or If-None-Match: any, or one of these revisions.
struct Expectation {
  bool any = false;
  std::vector<std::uint64_t> revisions;
};

struct Operation {
  // Writes, then reads. The last five are of old revisions, histories, ranges and transactions.
  enum class Kind {
    put,
    remove,
    act,
    txn,
    compact,
    claim,
    access,
    get,
    past,
    history,
    page,
    stream,
    read_txn,
  } kind = Kind::get;
  std::string key, value;
  bool json = false;
  std::optional<Expectation> if_match, if_none_match;
  std::string token;       // idempotency key of a write that may be retried; empty: none
  std::uint64_t body = 0;  // identifies the request that belongs to the key
  enum class Level { linearizable, lease, stale } level = Level::linearizable;
  std::uint64_t min_revision = 0;             // for a read
  std::optional<std::int64_t> max_staleness;  // ns, for a stale read
  std::uint64_t connection = 0, request = 0;
  std::int64_t invoked = 0;                   // ns, for messages
  std::int64_t log_time = 0;                  // of a read: at its server, when it was asked
  Act act;                                    // act, page, stream
  std::shared_ptr<const Txn> txn;             // txn, read_txn
  std::uint64_t at = 0;                       // compact, past: the revision; history: the limit
  std::optional<std::uint64_t> counted = {};  // a later page: the count of the first one

  std::uint64_t pages = 0;     // a page: the range that it belongs to
  AccessAct access;            // access
  std::optional<Who> who;      // whose token the request has
  bool has_chosen = false;     // the client has decided on `who`
  Claim claim;                 // claim: of a lease, a lock or an election
  std::optional<Fence> fence;  // act, txn, a claim that ends a lease
  std::int64_t until = 0;      // acquire: when it gives up waiting, by its server's clock
  struct Wait {
    std::optional<std::uint64_t> since;
    std::int64_t lasts = 0;  // ns
  };
  std::optional<Wait> wait;  // get, page: a long poll

  bool is_read() const { return kind >= Kind::get; }
};

std::string_view name_of(Operation::Kind kind);

// The upper bound that a stale read claims for its age. `as_of` is the instant that it names in the
// world's time, if the clock is accurate enough to tell.
struct Age {
  std::int64_t staleness = 0;
  std::optional<std::int64_t> as_of;
};

class History {
 public:
  // The table has room for this many keys. While none has expired, a new key is refused.
  void keep_at_most(std::size_t tokens) { most_kept_ = tokens; }
  // The bounds of all servers: none of them reached, nothing may be compacted.
  struct Bounds {
    std::int64_t keep_time = 0;  // ns
    std::uint64_t keep_bytes = 0, keep_revisions = 0;
  };
  void keep_history(const Bounds& bounds) { bounds_ = bounds; }

  // Records an operation, in the order of invocation. `command` is a hash of a write's bytes, which
  // identifies it in the log. The same bytes again are another attempt at the same write.
  std::size_t invoke(Operation operation, std::uint64_t command);

  // The reference stays valid.
  const Operation& operation(std::size_t i) const { return operations_[i].what; }

  // How an operation ended, at most once each. `now`: the world's time, which never falls.
  Violation wrote(std::size_t operation, const Outcome& outcome, std::int64_t now = 0);
  Violation read(std::size_t operation, const Seen& seen, std::uint64_t revision,
                 std::int64_t now = 0, const std::optional<Age>& age = std::nullopt);
  // The same for a read of anything but the present value of one key. `text`: see model.hpp.
  Violation read_more(std::size_t operation, const std::string& text, std::uint64_t revision,
                      std::int64_t now = 0, const std::optional<Age>& age = std::nullopt);
  // The same for a long poll that is told that nothing has changed. Whether that is true, see
  // polls.hpp.
  Violation read_unchanged(std::size_t operation, std::uint64_t revision, std::int64_t now,
                           const std::optional<Age>& age);
  Violation refused(std::size_t operation);  // certainly not applied
  void unknown(std::size_t operation);

  // The next command of the committed log, with the stamp of its entry. The elapsed time decides
  // whether the result of its key has to be known or forgotten; the stamps decide only between the
  // two bounds.
  Violation committed(std::uint64_t command, std::int64_t stamp = 0, const Passed& passed = {},
                      std::uint64_t index = 0);

  // The same for a command that no client sent: a leader compacts, reports the state of the quota,
  // or ends what is due; a server keeps or withdraws the places of its waiters.
  Violation housekept(std::string_view payload, std::int64_t stamp, const Passed& passed,
                      std::uint64_t index = 0);
  static bool is_of_server(std::string_view payload);

  // At the end: the operations of each connection took effect in order.
  Violation judge_connections() const;

  // The model's state after everything that is committed.
  std::uint64_t revision() const { return model_.revision(); }
  std::size_t keys() const { return model_.keys(); }
  Seen at_end(std::string_view key) const { return model_.now(key); }
  const Model& model() const { return model_; }
  // Calls visit(key, revision of its result) for up to `most` of the newest results that must be
  // kept.
  template <typename Visit>
  void for_newest_kept(std::size_t most, Visit&& visit) const {
    for (auto at = decided_.rbegin(); at != decided_.rend() && most > 0; ++at, --most) {
      const Token& token = tokens_.at(*at);
      if (!over(token, stamp_, passed_)) visit(*at, token.outcome.revision);
    }
  }
  // When the key's result was last decided or replayed; null if never.
  const Passed* asked(const std::string& token) const {
    const auto at = tokens_.find(token);
    return at == tokens_.end() ? nullptr : &at->second.asked;
  }
  // Whether this place has left the queue of its lock.
  bool has_waited(std::uint64_t place) const { return gone_.contains(place); }
  std::int64_t stamp() const { return stamp_; }           // of the last committed entry
  std::uint64_t forgotten() const { return forgotten_; }  // keys retried after they expired
  // Replays of keys after more than ten minutes, because too little could be decided meanwhile.
  std::uint64_t kept_over_outages() const { return kept_over_outages_; }
  // How often a new key was accepted after another had been refused.
  std::uint64_t room_again() const { return room_again_; }

 private:
  enum class End { open, ok, refused, unknown };
  struct Tracked {
    Operation what;
    std::uint64_t command = 0;
    End end = End::open;
    std::size_t since = 0;    // for a write: commits of the same bytes before the invocation
    std::uint64_t floor = 0;  // the highest revision that any client had been told at invocation
    std::uint64_t oldest_floor = 0;  // the same of oldest revisions
    // A client had been told at invocation that this token is revoked, and no one may disable the
    // need for one.
    bool is_barred = false;
    // If ok: the revision at its point. If several entries have the same bytes and equal results,
    // the write's own entry is not known; these two are the bounds.
    std::uint64_t seen = 0, seen_at_most = 0;
  };
  // The outcome of one entry of the log.
  struct Applied {
    Outcome outcome;
    std::uint64_t at = 0;  // the model's revision after it
    std::uint64_t oldest = 0;
    bool waits = false;    // for a lock, at the place of its outcome
    bool changed = false;  // it is the write of that revision
    bool told = false;     // matched to a reply: each entry answers at most one attempt
  };
  // Writes with the same bytes. Without an idempotency key every attempt but the last was refused.
  struct Written {
    std::size_t first = 0;  // position in operations_
    std::size_t attempts = 0, refused = 0;
    std::vector<Applied> applied;
  };
  // K1: the request that belongs to an idempotency key, and its result.
  struct Token {
    std::uint64_t body = 0;
    std::optional<Who> who;
    std::int64_t stamp = 0;  // of the last entry that got the result
    Passed asked;            // when that entry was committed
    Outcome outcome;
  };
  // A place that has left its queue.
  struct Gone {
    std::uint64_t token = 0;     // of the grant; 0: given up or lapsed
    std::uint64_t revision = 0;  // of the store, after it
  };
  struct Told {
    std::int64_t when = 0;
    std::uint64_t revision = 0;
  };

  static constexpr std::int64_t kAnswersKept = 600'000'000'000;  // ns after the decision
  static constexpr std::int64_t kStampsKept = kAnswersKept + LogClock::kMostUndecided;

  static bool over(const Token& token, std::int64_t stamp, const Passed& passed) {
    if (passed.at_most - token.asked.at_most < kAnswersKept) return false;
    if (passed.at_least - token.asked.at_least >= kStampsKept) return true;
    return stamp - token.stamp >= kStampsKept;
  }
  std::optional<Outcome::Kind> refusal(const Operation& operation) const;
  Outcome apply(const Operation& operation);
  Outcome compact(std::uint64_t revision);
  void commit(const Model::Result& result);
  void report_quota(bool over);
  Violation may_compact(std::uint64_t revision) const;
  std::string right_answer(const Operation& operation, const Model::View& view) const;
  Violation judge_read(Tracked& tracked, std::uint64_t revision, std::int64_t now,
                       const std::optional<Age>& age);
  Violation comes_at(std::int64_t stamp, const Passed& passed, std::uint64_t index,
                     const std::string& name);
  Outcome apply_once(const Operation& operation);
  Outcome write(const Operation& operation);
  Violation expired(const Due& due);
  void note_gone();
  Violation judge_waited(Tracked& tracked, Applied& asked, const Outcome& outcome,
                         std::int64_t now);
  static bool is_kept(Outcome::Kind kind);
  bool is_full() const;
  enum class Effect : std::uint8_t { none, new_revision };
  Violation sees(Tracked& tracked, std::uint64_t revision, Effect effect);
  void tell(std::uint64_t revision, std::int64_t now);
  Violation judge_stale(const Tracked& tracked, std::uint64_t revision, const Age& age) const;
  static bool names(const Expectation& expectation, const Seen& seen);
  static std::string name(const Tracked& tracked);

  std::deque<Tracked> operations_;
  std::unordered_map<std::uint64_t, Written> written_;  // by command
  std::unordered_map<std::string, Token> tokens_;
  std::vector<std::string> decided_;  // keys, in the order of their decisions
  Model model_;
  std::unordered_map<std::uint64_t, Gone> gone_;  // by place
  FencedWrites fenced_;
  RevokedWrites revoked_;
  Bounds bounds_;
  std::vector<std::int64_t> stamps_;  // by revision: when it was written
  std::uint64_t peak_ = 0,
                peak_before_ = 0;  // of the history's cost, since and before a compaction
  std::uint64_t floor_ = 1, oldest_floor_ = 1;
  std::vector<Told> told_;  // when the floor rose
  std::int64_t stamp_ = 0;
  Passed passed_;
  std::uint64_t forgotten_ = 0, kept_over_outages_ = 0, room_again_ = 0;
  std::size_t most_kept_ = 100'000;
  bool refuses_ = false;  // the last new key was refused
};

}  // namespace vesper::sim
