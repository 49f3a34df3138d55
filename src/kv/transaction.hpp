// Executes operations on a keyspace. A Draft collects what a transaction writes, so that a failure
// at any operation leaves the keyspace untouched; commit() then applies the whole draft at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kv/item.hpp"
#include "kv/keyspace.hpp"
#include "kv/leases.hpp"
#include "kv/locks.hpp"
#include "kv/operation.hpp"
#include "kv/range_reader.hpp"
#include "kv/write_result.hpp"

namespace vesper::kv {

// What an execution depends on beside the keyspace. All of it is replicated state or follows from
// the log (see Store).
struct ExecutionContext {
  std::size_t max_reply = kMaxReply;
  bool quota_exceeded = false;     // refuse operations that make the store grow
  LogTime now;                     // the stamp of the command
  const Leases* leases = nullptr;  // null: there are none
  const Locks* locks = nullptr;    // null: there are none
};

// Executes one operation, but not Nested, under conditions, as a single request does. Conditions
// require an operation on one key. If the result is `done`, the keyspace has been changed.
WriteResult execute(Keyspace& keyspace, const Conditions& conditions, const Operation& operation,
                    const ExecutionContext& context);
// The same for a transaction.
WriteResult execute(Keyspace& keyspace, const Transaction& transaction,
                    const ExecutionContext& context);

// Evaluates a transaction that is_read_only(). The keyspace is not changed.
WriteResult read(const Keyspace& keyspace, const Transaction& transaction,
                 const ExecutionContext& context = {});

}  // namespace vesper::kv
