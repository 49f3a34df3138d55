// A model of the data model: every version of every key, and what each request does, as the
// documentation describes it. It shares no code with the store. Results are texts, which the
// store's results are written in, too (translate.cpp), so that comparing them compares everything
// in them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vesper::sim {

// A key's version as a client sees it.
struct Seen {
  bool present = false;
  std::string value;
  bool json = false;
  std::uint64_t revision = 0, create_revision = 0, version = 0, lease = 0;
  bool operator==(const Seen&) const = default;
};

// The keys from `start` up to, but not including, `end`. An empty `end`: to the end.
struct Span {
  std::string start, end;

  static Span of_key(const std::string& key) { return {key, key + '\0'}; }
  bool contains(std::string_view key) const { return key >= start && (end.empty() || key < end); }
};

struct Check {
  enum class Target { revision, create_revision, version, lease, exists, value };
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
  std::uint64_t lease = 0;
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
  } kind = Kind::absent;
  std::uint64_t revision = 0, create_revision = 0, version = 0, current_revision = 0;
  bool replayed = false;  // decided by an earlier request with the same idempotency key
  std::string text = {};  // the result of a request of more than a plain put or delete
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
  };
  // One write of one key. Its place in its revision counts from 1.
  struct Event {
    std::uint64_t revision = 0;
    std::uint32_t place = 0;
    std::string key;
  };
  // A state of the store that a server may hold.
  struct View {
    std::uint64_t revision = 0, oldest = 0;
  };
  // What a request does, not yet done.
  struct Result {
    Outcome::Kind kind = Outcome::Kind::done;
    std::string text;
    std::vector<std::pair<std::string, Seen>> writes;  // in order; not present: a delete
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

  Seen at(std::string_view key, std::uint64_t revision) const;
  Seen now(std::string_view key) const { return at(key, revision_); }
  const std::map<std::string, std::vector<Version>, std::less<>>& versions() const {
    return versions_;
  }
  // All events ever, in order.
  const std::vector<Event>& events() const { return events_; }
  // The first of the events that compaction has left.
  std::size_t first_event() const { return first_event_; }
  // What the key was before this revision.
  Seen before(std::string_view key, std::uint64_t revision) const { return at(key, revision - 1); }
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

  // Adds what a request has written, as one revision. No writes: nothing happens.
  void commit(const std::vector<std::pair<std::string, Seen>>& writes);
  // Requires oldest() <= `revision` <= revision().
  void compact(std::uint64_t revision);
  void set_over_quota(bool over) { over_quota_ = over; }

 private:
  friend class Trial;
  struct Floor {
    std::uint64_t oldest = 0;
    std::uint64_t since = 0;  // the store's revision when it was set
  };
  static std::uint64_t cost_of(std::string_view key, const Seen& seen) {
    return kCost + key.size() + seen.value.size();
  }
  std::uint64_t dropped_by(const Event& event) const;

  std::map<std::string, std::vector<Version>, std::less<>> versions_;
  std::vector<Event> events_;
  std::size_t first_event_ = 0;  // with a revision of at least oldest_
  std::vector<Floor> floors_ = {{1, 0}};
  std::uint64_t revision_ = 1, oldest_ = 1;
  std::size_t present_ = 0;
  std::uint64_t live_cost_ = 0, history_cost_ = 0;
  bool over_quota_ = false;
};

}  // namespace vesper::sim
