// What a client can ask of the store: reads, writes, and transactions of both. The byte forms are
// in command.hpp, the execution in transaction.hpp, the results in write_result.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "kv/key_range.hpp"
#include "kv/log_time.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

// Bounds of one transaction, nested ones included. They must stay equal on all servers in every
// version, because they decide the outcome of a write.
inline constexpr std::size_t kMaxCompares = 4096;
inline constexpr std::size_t kMaxOperations = 4096;
inline constexpr std::size_t kMaxDepth = 8;  // of the transactions inside a transaction
// Keys that its range compares, range reads and range deletes may visit together. It keeps every
// turn of the loop below 5 ms.
inline constexpr std::size_t kMaxVisited = 10'000;
// A key that a range delete deletes takes as long as two that are only read, so it counts as two.
inline constexpr std::size_t kVisitsPerDelete = 2;
inline constexpr std::size_t kMaxRangeDelete = kMaxVisited / kVisitsPerDelete;  // keys
// The largest reply (see reply_size) of a write with an idempotency key, and of any other write.
inline constexpr std::size_t kMaxKeptReply = 64u << 10;
inline constexpr std::size_t kMaxReply = 16u << 20;

enum class Order : std::uint8_t { ascending, descending };
enum class Content : std::uint8_t { values, keys, count };
enum class Prev : std::uint8_t { omit, include };  // whether the reply has the replaced version

// Reads the keys of a range, in byte order.
struct RangeQuery {
  KeyRange range;
  Space space = Space::keys;
  std::uint64_t revision = 0;  // 0: the present one
  // The most keys and prefixes in the result. 0: no bound.
  std::size_t limit = 0;
  Order order = Order::ascending;
  Content content = Content::values;
  // Keys that have this string after their first `prefix_size` bytes are folded into one prefix,
  // which ends with the separator. Empty: no folding.
  std::string separator;
  std::size_t prefix_size = 0;
};

struct Compare {
  // The values are those of the byte form, here and below.
  enum class Target : std::uint8_t {
    revision = 1,
    create_revision = 2,
    version = 3,
    lease = 4,
    exists = 5,
    value = 6,
    // The range is one name: whether the lock or the election of this name is held with the token
    // `number`. Only with Op::equal.
    lock = 7,
  };
  enum class Op : std::uint8_t { equal = 1, not_equal = 2, less = 3, greater = 4 };

  // Holds if it holds for each key in the range. A range without keys counts as one absent key: its
  // numbers are 0, and every compare of its value is false.
  KeyRange range;
  Target target = Target::revision;
  Op op = Op::equal;
  std::uint64_t number = 0;  // `exists`: 0 or 1
  SharedBytes value;         // `value` only
};

struct Put {
  SharedBytes key;    // 1 to kMaxKey bytes
  SharedBytes value;  // up to kMaxValue bytes, kMaxJson if json; empty if keep_value
  bool json = false;
  bool keep_value = false;  // writes the present value again; the key must exist
  bool keep_lease = false;  // the lease, or the deadline, that the key has
  // At most one of keep_lease, lease and ttl.
  std::uint64_t lease = 0;  // must be active; 0: none
  Duration ttl{};           // up to kMaxTtl; 0: the key does not expire
  Prev prev = Prev::omit;
};

struct Get {
  SharedBytes key;
  std::uint64_t revision = 0;  // 0: the present one
};

struct GetRange {
  RangeQuery query;
};

struct Delete {
  KeyRange range;
  Prev prev = Prev::omit;
};

// Reads a key, computes its new value, and writes it. An absent key counts as 0 or empty.
struct Modify {
  enum class Kind : std::uint8_t { increment = 1, append = 2, min = 3, max = 4 };
  Kind kind = Kind::increment;
  SharedBytes key;
  std::int64_t operand = 0;  // increment, min and max
  SharedBytes suffix;        // append
};

// Writes again what the key held at a revision. Deletes the key if it was absent then.
struct Restore {
  SharedBytes key;
  std::uint64_t revision = 0;  // at least 1
};

struct Transaction;

struct Nested {
  std::unique_ptr<Transaction> transaction;  // never null
};

using Operation = std::variant<Put, Get, GetRange, Delete, Modify, Restore, Nested>;

// If all compares hold, `then` runs, else `otherwise`. All compares, nested ones included, are
// decided on the state before the first write. All writes share one revision.
struct Transaction {
  std::vector<Compare> compares;
  std::vector<Operation> then;
  std::vector<Operation> otherwise;
};

// True if neither branch can write, so that the transaction needs no log entry.
bool is_read_only(const Transaction& transaction);
// True for Get, GetRange, and for Nested if its transaction is read-only.
bool is_read_only(const Operation& operation);

// Whether a compare holds for the present version of a key; null: the key does not exist. Requires
// another target than `lock`.
bool holds(const Compare& compare, const Version* version);

// Parses a canonical decimal: no sign but '-', no leading zeros, no "-0", and it fits in 64 bits.
bool parse_integer(std::string_view text, std::int64_t& value);

}  // namespace vesper::kv
