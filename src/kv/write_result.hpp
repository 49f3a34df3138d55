// The results of operations and of whole writes, as the store decides them. The idempotency table
// keeps them in the byte form of encode_result().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "kv/access.hpp"
#include "kv/operation.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

struct PutResult {
  std::uint64_t revision = 0;
  std::uint64_t create_revision = 0;
  std::uint64_t version = 0;
  VersionRef now;   // after Modify: the new version, for its value; else null
  VersionRef prev;  // null if it was not asked for, or if there was none
};

struct DeleteResult {
  std::uint64_t deleted = 0;     // keys
  std::vector<VersionRef> prev;  // in key order; empty unless it was asked for
};

struct GetResult {
  VersionRef found;  // null: no such key
};

struct RangeResult {
  Content content = Content::values;
  std::vector<VersionRef> kvs;        // in the order of the query
  std::vector<std::string> prefixes;  // in the order of the query
  std::uint64_t count = 0;            // keys in the whole range
  bool more = false;                  // the limit ended the result
  std::string resume;  // if `more`: the new `start` of the range (its new `end` if descending)
};

// Of the commands about leases only.
struct LeaseResult {
  std::uint64_t lease = 0;
  Duration ttl;               // granted and renewed: what is left; ended: 0
  std::uint64_t deleted = 0;  // ended: its keys that were deleted at once; see kMaxExpired
};

// Of the commands about locks and elections only.
struct LockResult {
  // The values are those of the byte form. `queued`: the lock is held, and the place waits for it;
  // not an answer for a client yet.
  enum class State : std::uint8_t { granted = 1, queued, renewed, released, not_held, done };
  State state = State::done;
  std::uint64_t place = 0;  // granted and queued
  std::uint64_t claim = 0;  // queued: see LockWaiter. Not in the byte form
  std::uint64_t token = 0;  // granted and renewed
  Duration ttl;             // granted and renewed
};

// Of the commands about tokens only.
struct AccessResult {
  std::uint64_t id = 0;             // of the token that was made; else 0
  LogTime expires = kEndOfLogTime;  // of that token
  std::size_t tokens = 0;           // how many there are now
};

struct OperationResult;

struct TransactionResult {
  bool succeeded = false;
  std::vector<OperationResult> results;  // one for each operation of the branch that ran
};

// Of the command Compact only.
struct CompactResult {
  std::uint64_t oldest_revision = 0;
};

struct OperationResult
    : std::variant<PutResult, DeleteResult, GetResult, RangeResult, TransactionResult,
                   CompactResult, LeaseResult, LockResult, AccessResult> {
  using variant::variant;
};

// The result of one command.
struct WriteResult {
  // The values are those of the byte form.
  enum class Kind : std::uint8_t {
    done = 1,
    precondition_failed = 2,  // If-Match or If-None-Match
    not_an_integer = 3,       // increment, min, max of another value
    out_of_range = 4,         // the sum exceeds 64 bits
    lease_not_found = 5,      // no such lease, or it is over
    lock_busy = 6,            // another one holds the lock
    lock_lost = 7,            // the token is not that of the present holder
    fenced = 8,               // the write's fence does not hold
    // The idempotency table does not keep the following, because nothing was decided: the same
    // request may succeed later.
    key_reused = 16,  // its idempotency key belongs to another request
    table_full = 17,  // its idempotency key is new, and the table is full
    value_too_large = 18,
    reply_too_large = 19,
    range_too_large = 20,         // more than kMaxVisited or kMaxRangeDelete keys
    compacted = 21,               // a revision below the oldest readable one
    future_revision = 22,         // a revision above the store's
    conflicting_operations = 23,  // a key is written twice, or written and deleted
    key_not_found = 24,           // keep_value of an absent key
    quota_exceeded = 25,          // the store is full, and the write would make it grow
    table_limit = 26,             // as many leases, locks, waiters or tokens exist as are allowed
    unauthorized = 27,            // clients need a token, and this one has none that is valid now
    forbidden = 28,               // the token lacks the right `missing`
    already_enabled = 29,         // clients need a token already
    token_exists = 30,            // a token of this name
    token_not_found = 31,
  };
  // The place of an operation in a transaction: which branch, and which operation of it. The path
  // to a nested operation has one step for each level.
  struct Step {
    enum class Branch : std::uint8_t { then, otherwise, compare };
    Branch branch = Branch::then;
    std::uint32_t at = 0;
  };

  Kind kind = Kind::done;
  bool replayed = false;  // the result of an earlier command with this idempotency key
  // The store's revision after the write. If the write changed the store, its own revision.
  std::uint64_t revision = 0;
  LogTime time;  // the stamp of the command; a replay has that of the first one
  // precondition_failed: the key's revision; 0 if it is absent.
  std::uint64_t current_revision = 0;
  // value_too_large, reply_too_large, range_too_large, table_full, table_limit: the limit.
  // compacted: the oldest readable revision. lock_busy, lock_lost, fenced: the token of the present
  // holder, 0 if there is none. Else 0.
  std::uint64_t limit = 0;
  Right missing = Right::read;  // forbidden
  std::uint64_t count = 0;      // range_too_large: the keys that the range has, if known; else 0
  std::vector<Step> path;       // which operation failed; empty: the only one
  OperationResult result;       // if `done`

  bool is_done() const { return kind == Kind::done; }
};

// Whether the idempotency table keeps this result.
bool is_decided(const WriteResult& result);

// The size of a reply: the keys and values in it, and 64 bytes for each of them and for each
// result. Equal on all nodes.
std::size_t reply_size(const OperationResult& result);

// The byte form of a decided result. Little-endian; the layout is in write_result.cpp.
std::string encode_result(const WriteResult& result);
Result<WriteResult> decode_result(std::string_view bytes);

}  // namespace vesper::kv
