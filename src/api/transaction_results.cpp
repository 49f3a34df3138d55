// The replies: the results of operations, and the place of one that was refused.
#include <variant>

#include "api/render.hpp"
#include "api/transaction_json.hpp"
#include "base/assert.hpp"
#include "json/text.hpp"

namespace vesper::api {
namespace {

using Kind = kv::WriteResult::Kind;
using Step = kv::WriteResult::Step;

// A restore of an absent key is a delete, too.
PrevForm prev_form_of(const kv::Operation& operation) {
  const auto* remove = std::get_if<kv::Delete>(&operation);
  const bool has_list =
      remove != nullptr && remove->prev == kv::Prev::include && !remove->range.is_single_key();
  return has_list ? PrevForm::array : PrevForm::object;
}

void append_get(json::Writer& json, const kv::GetResult& got, std::string_view key,
                kv::LogTime now) {
  if (got.found) return append_version(json, *got.found, kv::Content::values, now);
  json.begin_object();
  json.bytes_member("key", key);
  json.member("exists", false);
  json.end_object();
}

void append_range(json::Writer& json, const kv::RangeResult& range, const kv::RangeQuery& query,
                  kv::LogTime now) {
  json.begin_object();
  if (query.content != kv::Content::count) {
    json.key("kvs");
    json.begin_array();
    for (const kv::VersionRef& version : range.kvs)
      append_version(json, *version, query.content, now);
    json.end_array();
    if (!query.separator.empty()) append_prefixes(json, range.prefixes);
  }
  json.member("count", range.count);
  if (range.more && query.content != kv::Content::count) {
    json.member("more", true);
  }
  json.end_object();
}

void append_results(json::Writer& json, const kv::TransactionResult& result,
                    const kv::Transaction& transaction, const Moment& moment) {
  const auto& operations = result.succeeded ? transaction.then : transaction.otherwise;
  VESPER_ASSERT(result.results.size() == operations.size());
  json.key("results");
  json.begin_array();
  for (std::size_t i = 0; i < operations.size(); ++i)
    append_result(json, result.results[i], operations[i], moment);
  json.end_array();
}

// The key of an operation on one key.
std::string_view key_of(const kv::Operation& operation) {
  struct Key {
    std::string_view operator()(const kv::Put& put) const { return put.key.view(); }
    std::string_view operator()(const kv::Get& get) const { return get.key.view(); }
    std::string_view operator()(const kv::GetRange&) const { return {}; }
    std::string_view operator()(const kv::Delete& remove) const {
      return remove.range.is_single_key() ? std::string_view(remove.range.start)
                                          : std::string_view();
    }
    std::string_view operator()(const kv::Modify& modify) const { return modify.key.view(); }
    std::string_view operator()(const kv::Restore& restore) const { return restore.key.view(); }
    std::string_view operator()(const kv::Nested&) const { return {}; }
  };
  return std::visit(Key(), operation);
}

std::string_view name_of(const kv::Operation& operation) {
  struct Name {
    std::string_view operator()(const kv::Put&) const { return "put"; }
    std::string_view operator()(const kv::Get&) const { return "get"; }
    std::string_view operator()(const kv::GetRange&) const { return "get"; }
    std::string_view operator()(const kv::Delete&) const { return "delete"; }
    std::string_view operator()(const kv::Modify& modify) const {
      switch (modify.kind) {
        case kv::Modify::Kind::increment: return "increment";
        case kv::Modify::Kind::append: return "append";
        case kv::Modify::Kind::min: return "min";
        case kv::Modify::Kind::max: return "max";
      }
      VESPER_UNREACHABLE();
    }
    std::string_view operator()(const kv::Restore&) const { return "restore"; }
    std::string_view operator()(const kv::Nested&) const { return "txn"; }
  };
  return std::visit(Name(), operation);
}

// The member of an operation that a refusal is about. Empty: the operation as a whole.
std::string_view member_at_fault(Kind kind, const kv::Operation& operation) {
  switch (kind) {
    case Kind::not_an_integer:
    case Kind::conflicting_operations:
    case Kind::key_not_found: {
      const std::string_view key = key_of(operation);
      if (key.empty()) return {};
      return json::is_utf8(key) ? "key" : "key_base64";
    }
    case Kind::out_of_range: return "by";
    case Kind::compacted:
    case Kind::future_revision: return "revision";
    case Kind::lease_not_found: return "lease";
    case Kind::done:
    case Kind::lock_busy:
    case Kind::lock_lost:
    case Kind::fenced:
    case Kind::table_limit:
    case Kind::unauthorized:
    case Kind::forbidden:
    case Kind::already_enabled:
    case Kind::token_exists:
    case Kind::token_not_found:
    case Kind::precondition_failed:
    case Kind::key_reused:
    case Kind::table_full:
    case Kind::value_too_large:
    case Kind::reply_too_large:
    case Kind::range_too_large:
    case Kind::quota_exceeded: return {};
  }
  VESPER_UNREACHABLE();
}

}  // namespace

void append_result(json::Writer& json, const kv::OperationResult& result,
                   const kv::Operation& operation, const Moment& moment) {
  struct Append {
    json::Writer& json;
    const kv::Operation& operation;
    const Moment& moment;

    void operator()(const kv::PutResult& put) const {
      append_put(json, put, key_of(operation), moment.time);
    }
    void operator()(const kv::DeleteResult& removed) const {
      append_delete(json, removed, moment, prev_form_of(operation));
    }
    void operator()(const kv::GetResult& got) const {
      append_get(json, got, key_of(operation), moment.time);
    }
    void operator()(const kv::RangeResult& range) const {
      append_range(json, range, std::get<kv::GetRange>(operation).query, moment.time);
    }
    void operator()(const kv::TransactionResult& nested) const {
      json.begin_object();
      json.member("succeeded", nested.succeeded);
      append_results(json, nested, *std::get<kv::Nested>(operation).transaction, moment);
      json.end_object();
    }
    void operator()(const kv::CompactResult&) const { VESPER_UNREACHABLE(); }
    void operator()(const kv::LeaseResult&) const { VESPER_UNREACHABLE(); }
    void operator()(const kv::LockResult&) const { VESPER_UNREACHABLE(); }
    void operator()(const kv::AccessResult&) const { VESPER_UNREACHABLE(); }
  };
  std::visit(Append{json, operation, moment}, result);
}

void append_reply(json::Writer& json, const kv::TransactionResult& result,
                  const kv::Transaction& transaction, const Moment& moment) {
  json.begin_object();
  json.member("succeeded", result.succeeded);
  json.member("revision", moment.revision);
  append_results(json, result, transaction, moment);
  json.end_object();
}

std::string field_of(const kv::WriteResult& refused, const kv::Transaction& transaction) {
  std::string field = path_of(refused.path);
  const kv::Transaction* at = &transaction;
  for (std::size_t i = 0; i < refused.path.size(); ++i) {
    const Step& step = refused.path[i];
    if (step.branch == Step::Branch::compare) return field;
    const auto& branch = step.branch == Step::Branch::then ? at->then : at->otherwise;
    VESPER_ASSERT(step.at < branch.size());
    const kv::Operation& operation = branch[step.at];
    if (i + 1 < refused.path.size()) {
      at = std::get<kv::Nested>(operation).transaction.get();
      continue;
    }
    field.append(".").append(name_of(operation));
    const std::string_view member = member_at_fault(refused.kind, operation);
    if (!member.empty()) field.append(".").append(member);
  }
  return field;
}

}  // namespace vesper::api
