// Judges what clients were told: a model of the store of its own, fed with the one order in which
// operations were committed. It shares no code with the store.
//
// Why that is linearizability: every answer agrees with the model at one point of that one order
// (of a write its own point, of a read the revision that it names), and no point lies before one
// that had been answered when the operation was invoked. Stale reads are held to what they promise.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/log_clock.hpp"

namespace vesper::sim {

// If-Match or If-None-Match: any, or one of these revisions.
struct Expectation {
  bool any = false;
  std::vector<std::uint64_t> revisions;
};

struct Outcome {
  enum class Kind { put, removed, absent, failed, reused, full } kind = Kind::absent;
  std::uint64_t revision = 0, create_revision = 0, version = 0, current_revision = 0;
  bool replayed = false;  // decided by an earlier request of the same token
  bool operator==(const Outcome&) const = default;
};

struct Seen {
  bool present = false;
  std::string value;
  bool json = false;
  std::uint64_t revision = 0, create_revision = 0, version = 0;
  bool operator==(const Seen&) const = default;
};

struct Operation {
  enum class Kind { put, remove, get } kind = Kind::get;
  std::string key, value;
  bool json = false;
  std::optional<Expectation> if_match, if_none_match;
  std::string token;       // of a write that may come again; empty: none
  std::uint64_t body = 0;  // what the token stands for
  enum class Level { linearizable, lease, stale } level = Level::linearizable;
  std::uint64_t min_revision = 0;             // of a read
  std::optional<std::int64_t> max_staleness;  // ns, of a stale read
  std::uint64_t connection = 0, request = 0;
  std::int64_t invoked = 0;  // ns, for the message
};

// A stale read's own word: at most so old. `as_of` is that instant in the world's time, where its
// clock can be trusted to say so.
struct Age {
  std::int64_t staleness = 0;
  std::optional<std::int64_t> as_of;
};

class History {
 public:
  // So many tokens, and a new one is refused as long as the time of none of them is over.
  void keep_at_most(std::size_t tokens) { most_kept_ = tokens; }

  // Of an operation, in the order of invocation. `command`: a hash of a write's bytes, by which it
  // is known in the log. The same bytes again are another attempt at the same write.
  std::size_t invoke(Operation operation, std::uint64_t command);

  const Operation& operation(std::size_t i) const { return operations_[i].what; }

  // How it ended. Once at most for each. `now`: the world's time, which never falls.
  Violation wrote(std::size_t operation, const Outcome& outcome, std::int64_t now = 0);
  Violation read(std::size_t operation, const Seen& seen, std::uint64_t revision,
                 std::int64_t now = 0, const std::optional<Age>& age = std::nullopt);
  Violation refused(std::size_t operation);  // certainly not applied
  void unknown(std::size_t operation);

  // The next command of the committed log, with the stamp of its entry. Whether the answer of its
  // token has to be known, or to be forgotten, the time that has passed says; between the two only,
  // the stamps do.
  Violation committed(std::uint64_t command, std::int64_t stamp = 0, const Passed& passed = {});

  // At the end: one connection's operations took effect in their order.
  Violation judge_connections() const;

  // The model's state after all that is committed.
  std::uint64_t revision() const { return revision_; }
  std::size_t keys() const { return present_; }
  Seen at_end(std::string_view key) const;
  // visit(token, revision of its answer), of those whose answers have to be kept: the newest.
  template <typename Visit>
  void for_newest_kept(std::size_t most, Visit&& visit) const {
    for (auto at = decided_.rbegin(); at != decided_.rend() && most > 0; ++at, --most) {
      const Token& token = tokens_.at(*at);
      if (!over(token, stamp_, passed_)) visit(*at, token.outcome.revision);
    }
  }
  // When the token's answer was decided or asked for last; null where it never was.
  const Passed* asked(const std::string& token) const {
    const auto at = tokens_.find(token);
    return at == tokens_.end() ? nullptr : &at->second.asked;
  }
  std::int64_t stamp() const { return stamp_; }           // of the entry committed last
  std::uint64_t forgotten() const { return forgotten_; }  // tokens that came again too late
  // Tokens that came again after ten minutes, in which too little could be decided.
  std::uint64_t kept_over_outages() const { return kept_over_outages_; }
  // How often a new token was taken after others had been refused.
  std::uint64_t room_again() const { return room_again_; }

 private:
  enum class End { open, ok, refused, unknown };
  struct Tracked {
    Operation what;
    std::uint64_t command = 0;
    End end = End::open;
    std::size_t since = 0;    // of a write: how often its bytes had been committed at invocation
    std::uint64_t floor = 0;  // the highest revision that anybody had been told at invocation
    // When ok: the revision at its point. Equal answers to the same bytes leave open which of some
    // entries was its own.
    std::uint64_t seen = 0, seen_at_most = 0;
  };
  // What became of one entry of the log.
  struct Applied {
    Outcome outcome;
    std::uint64_t at = 0;  // the model's revision then
    bool told = false;     // to whom asked: each entry answers one attempt at most
  };
  // Writes of the same bytes. Without a token each attempt but the last was refused.
  struct Written {
    std::size_t first = 0;  // of the operations
    std::size_t attempts = 0, refused = 0;
    std::vector<Applied> applied;
  };
  // K1: what a token stands for, and the answer that it has.
  struct Token {
    std::uint64_t body = 0;
    std::int64_t stamp = 0;  // of the entry that asked last
    Passed asked;            // when it was committed
    Outcome outcome;
  };
  struct Version {
    std::uint64_t at = 0;  // the store's revision
    Seen seen;
  };
  struct Told {
    std::int64_t when = 0;
    std::uint64_t revision = 0;
  };

  static constexpr std::int64_t kAnswersKept = 600'000'000'000;  // after the decision: ten minutes
  static constexpr std::int64_t kStampsKept = kAnswersKept + LogClock::kMostUndecided;

  static bool over(const Token& token, std::int64_t stamp, const Passed& passed) {
    if (passed.at_most - token.asked.at_most < kAnswersKept) return false;
    if (passed.at_least - token.asked.at_least >= kStampsKept) return true;
    return stamp - token.stamp >= kStampsKept;
  }
  Outcome apply(const Operation& operation);
  Outcome apply_once(const Operation& operation);
  bool is_full() const;
  Violation sees(Tracked& tracked, std::uint64_t revision, bool effect);
  void tell(std::uint64_t revision, std::int64_t now);
  Violation judge_stale(const Tracked& tracked, std::uint64_t revision, const Age& age) const;
  static bool names(const Expectation& expectation, const Seen& seen);
  static std::string name(const Tracked& tracked);

  std::vector<Tracked> operations_;
  std::unordered_map<std::uint64_t, Written> written_;  // by command
  std::unordered_map<std::string, Token> tokens_;
  std::vector<std::string> decided_;  // tokens, in that order
  std::map<std::string, std::vector<Version>, std::less<>> versions_;
  std::uint64_t revision_ = 1;
  std::size_t present_ = 0;
  std::uint64_t floor_ = 1;
  std::vector<Told> told_;  // when the floor rose
  std::int64_t stamp_ = 0;
  Passed passed_;
  std::uint64_t forgotten_ = 0, kept_over_outages_ = 0, room_again_ = 0;
  std::size_t most_kept_ = 100'000;
  bool refuses_ = false;  // the last new token was refused
};

}  // namespace vesper::sim
