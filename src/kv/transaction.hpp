// Executes operations on a keyspace. A Draft collects what a transaction writes, so that a failure
// at any operation leaves the keyspace untouched; commit() then applies the whole draft at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kv/item.hpp"
#include "kv/keyspace.hpp"
#include "kv/operation.hpp"
#include "kv/range_reader.hpp"
#include "kv/write_result.hpp"

namespace vesper::kv {

// Limits on one execution. Whether the quota is exceeded is replicated state (see Store).
struct ExecutionLimits {
  std::size_t reply = kMaxReply;
  bool quota_exceeded = false;  // refuse operations that make the store grow
};

// Executes one operation, but not Nested, under conditions, as a single request does. Conditions
// require an operation on one key. If the result is `done`, the keyspace has been changed.
WriteResult execute(Keyspace& keyspace, const Conditions& conditions, const Operation& operation,
                    const ExecutionLimits& limits);
// The same for a transaction.
WriteResult execute(Keyspace& keyspace, const Transaction& transaction,
                    const ExecutionLimits& limits);

// Evaluates a transaction that is_read_only(). The keyspace is not changed.
WriteResult read(const Keyspace& keyspace, const Transaction& transaction);

// Parses a canonical decimal: no sign but '-', no leading zeros, no "-0", and it fits in 64 bits.
bool parse_integer(std::string_view text, std::int64_t& value);

}  // namespace vesper::kv
