// The JSON of POST /txn: reads a transaction, and renders the results of its operations. Knows
// neither HTTP nor the store; api/txn.cpp is the endpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/problem.hpp"
#include "api/render.hpp"
#include "json/writer.hpp"
#include "kv/operation.hpp"
#include "kv/write_result.hpp"

namespace vesper::api {

// Reads the body of POST /txn into `out`. Returns nothing if that succeeded, otherwise the first
// problem; `out` is then unspecified. A problem names the faulty member by its path, such as
// then[3].put.key, unless the body is not JSON at all. A value may have up to `max_value` bytes.
std::optional<Problem> read_transaction(std::string_view body, std::size_t max_value,
                                        kv::Transaction& out);

// Appends what a single request for `operation` answers. Requires that `result` is a result of
// `operation`. `moment` is that of the transaction.
void append_result(json::Writer& json, const kv::OperationResult& result,
                   const kv::Operation& operation, const Moment& moment);

// The path of the member that a refused write failed at, such as then[3].put.key. Empty if the
// refusal names no operation. Requires that `refused` is a result of `transaction`.
std::string field_of(const kv::WriteResult& refused, const kv::Transaction& transaction);

// Appends the reply to POST /txn: {"succeeded","revision","results"}.
void append_reply(json::Writer& json, const kv::TransactionResult& result,
                  const kv::Transaction& transaction, const Moment& moment);

}  // namespace vesper::api
