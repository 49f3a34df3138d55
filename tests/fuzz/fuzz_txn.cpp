// libFuzzer target for POST /txn: a body that is accepted has a byte form that the store accepts,
// the store decides it without a fault, and the reply is JSON. A body that is refused gets a
// problem that names a member.
#include <cstdint>
#include <string>
#include <string_view>

#include "api/problem.hpp"
#include "api/transaction_json.hpp"
#include "base/assert.hpp"
#include "json/document.hpp"
#include "kv/command.hpp"
#include "kv/store.hpp"

using namespace vesper;

namespace {

constexpr std::size_t kMaxValue = 1000;

void check_problem(const api::Problem& problem) {
  VESPER_ASSERT(problem.status == 400 || problem.status == 413);
  VESPER_ASSERT(!problem.detail.empty());
  std::string text;
  api::append_problem(text, problem);
  json::Document document;
  VESPER_ASSERT(!document.parse(text));
}

void write(kv::Store& store, std::string_view command) {
  VESPER_ASSERT(store.apply(SharedBytes::copy_of(command), kv::LogTime{1}, 1).ok());
}

void check_reply(const kv::WriteResult& result, const kv::Transaction& transaction) {
  std::string text;
  json::Writer json(text);
  if (!result.is_done()) {
    VESPER_ASSERT(!api::field_of(result, transaction).empty());
    return;
  }
  api::append_reply(json, std::get<kv::TransactionResult>(result.result), transaction,
                    {result.revision, result.time});
  json::Document document;
  VESPER_ASSERT(!document.parse(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  kv::Transaction transaction;
  if (const auto problem = api::read_transaction(body, kMaxValue, transaction)) {
    check_problem(*problem);
    return 0;
  }
  const std::string command = kv::encode(transaction);
  const auto decoded = kv::decode_command(SharedBytes::copy_of(command));
  VESPER_ASSERT(decoded.ok());
  VESPER_ASSERT(kv::encode(std::get<kv::Transaction>(decoded->body)) == command);

  kv::Store store;
  write(store, kv::encode_put("a", "1", kv::ValueForm::bytes, {}));
  write(store, kv::encode_put("a", "2", kv::ValueForm::json, {}));
  write(store, kv::encode_put("b", "x", kv::ValueForm::bytes, {}));
  write(store, kv::encode_remove("b", {}));
  write(store, kv::encode_put("\xff", "\xff", kv::ValueForm::bytes, {}));
  const Id128 before = store.digest();
  if (kv::is_read_only(transaction)) {
    check_reply(kv::read(store.keyspace(), transaction), transaction);
    VESPER_ASSERT(store.digest() == before);
    return 0;
  }
  const auto result = store.apply(SharedBytes::copy_of(command), kv::LogTime{2}, 2);
  VESPER_ASSERT(result.ok());
  check_reply(*result, transaction);
  VESPER_ASSERT(result->is_done() || store.digest() == before);
  VESPER_ASSERT(store.digest() == store.recomputed_digest());
  return 0;
}
