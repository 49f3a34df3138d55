#include "kv/command.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/checksum.hpp"
#include "base/overloaded.hpp"

namespace vesper::kv {
namespace {

constexpr std::uint8_t kIfMatch = 1;
constexpr std::uint8_t kIfNoneMatch = 2;
constexpr std::uint8_t kIdempotencyKey = 4;
constexpr std::uint8_t kKnownFlags = kIfMatch | kIfNoneMatch | kIdempotencyKey;

constexpr std::uint8_t kPutJson = 1;
constexpr std::uint8_t kPutKeepValue = 2;
constexpr std::uint8_t kPutKeepLease = 4;
constexpr std::uint8_t kPrev = 8;

enum class CommandKind : std::uint8_t { single = 1, transaction, compact, quota };
enum class OperationKind : std::uint8_t {
  put = 1,
  get,
  get_range,
  remove,
  modify,
  restore,
  nested
};

constexpr std::uint64_t kFingerprintSeed = 0x2f85c3d1706eb94a;

std::size_t value_limit(ValueForm form) {
  return form == ValueForm::json ? kMaxJson : kMaxValue;
}

// ---- writing ------------------------------------------------------------------------------

void write_match(ByteWriter& w, const Match& match) {
  VESPER_ASSERT(match.revisions.size() <= kMaxConditionList);
  VESPER_ASSERT(!match.any || match.revisions.empty());
  w.u8(match.any ? 1 : 0);
  w.u8(static_cast<std::uint8_t>(match.revisions.size()));
  for (const std::uint64_t revision : match.revisions) w.u64(revision);
}

void write_short(ByteWriter& w, std::string_view bytes) {
  VESPER_ASSERT(bytes.size() <= UINT16_MAX);
  w.u16(static_cast<std::uint16_t>(bytes.size()));
  w.bytes(bytes);
}

void write_key(ByteWriter& w, std::string_view key) {
  VESPER_ASSERT(!key.empty());
  VESPER_ASSERT(key.size() <= kMaxKey);
  write_short(w, key);
}

void write_range(ByteWriter& w, const KeyRange& range) {
  VESPER_ASSERT(range.start.size() <= kMaxKey + 1);
  VESPER_ASSERT(range.end.size() <= kMaxKey + 1);
  write_short(w, range.start);
  write_short(w, range.end);
}

void write_head(ByteWriter& w, CommandKind kind, const Conditions& conditions,
                const std::optional<IdempotencyKey>& request) {
  std::uint8_t flags = 0;
  if (conditions.if_match) flags |= kIfMatch;
  if (conditions.if_none_match) flags |= kIfNoneMatch;
  if (request) flags |= kIdempotencyKey;
  w.u8(kCommandVersion);
  w.u8(static_cast<std::uint8_t>(kind));
  w.u8(flags);
  if (conditions.if_match) write_match(w, *conditions.if_match);
  if (conditions.if_none_match) write_match(w, *conditions.if_none_match);
  if (!request) return;
  VESPER_ASSERT(is_idempotency_key(request->text));
  w.u8(static_cast<std::uint8_t>(request->text.size()));
  w.bytes(request->text);
  w.u64(request->fingerprint.high);
  w.u64(request->fingerprint.low);
}

void write_kind(ByteWriter& w, OperationKind kind) {
  w.u8(static_cast<std::uint8_t>(kind));
}

void write_put(ByteWriter& w, std::uint8_t flags, std::uint64_t lease, std::string_view key,
               std::string_view value) {
  write_kind(w, OperationKind::put);
  w.u8(flags);
  w.u64(lease);
  write_key(w, key);
  w.string(value);
}

void write_transaction(ByteWriter& w, const Transaction& transaction);

void write_operation(ByteWriter& w, const Operation& operation) {
  std::visit(Overloaded{
                 [&](const Put& put) {
                   const auto form = put.json ? ValueForm::json : ValueForm::bytes;
                   VESPER_ASSERT(put.value.size() <= value_limit(form));
                   write_put(w,
                             static_cast<std::uint8_t>((put.json ? kPutJson : 0) |
                                                       (put.keep_value ? kPutKeepValue : 0) |
                                                       (put.keep_lease ? kPutKeepLease : 0) |
                                                       (put.prev == Prev::include ? kPrev : 0)),
                             put.lease, put.key.view(), put.value.view());
                 },
                 [&](const Get& get) {
                   write_kind(w, OperationKind::get);
                   write_key(w, get.key.view());
                   w.u64(get.revision);
                 },
                 [&](const GetRange& get) {
                   write_kind(w, OperationKind::get_range);
                   const RangeQuery& query = get.query;
                   write_range(w, query.range);
                   w.u64(query.revision);
                   w.u64(query.limit);
                   w.u8(static_cast<std::uint8_t>(query.order));
                   w.u8(static_cast<std::uint8_t>(query.content));
                   VESPER_ASSERT(query.prefix_size <= kMaxKey);
                   VESPER_ASSERT(query.separator.size() <= kMaxSeparator);
                   w.u16(static_cast<std::uint16_t>(query.prefix_size));
                   write_short(w, query.separator);
                 },
                 [&](const Delete& remove) {
                   write_kind(w, OperationKind::remove);
                   w.u8(remove.prev == Prev::include ? kPrev : 0);
                   write_range(w, remove.range);
                 },
                 [&](const Modify& modify) {
                   write_kind(w, OperationKind::modify);
                   w.u8(static_cast<std::uint8_t>(modify.kind));
                   write_key(w, modify.key.view());
                   if (modify.kind == Modify::Kind::append) w.string(modify.suffix.view());
                   else w.i64(modify.operand);
                 },
                 [&](const Restore& restore) {
                   write_kind(w, OperationKind::restore);
                   write_key(w, restore.key.view());
                   w.u64(restore.revision);
                 },
                 [&](const Nested& nested) {
                   write_kind(w, OperationKind::nested);
                   write_transaction(w, *nested.transaction);
                 },
             },
             operation);
}

void write_operations(ByteWriter& w, const std::vector<Operation>& operations) {
  VESPER_ASSERT(operations.size() <= kMaxOperations);
  w.u16(static_cast<std::uint16_t>(operations.size()));
  for (const Operation& operation : operations) write_operation(w, operation);
}

void write_transaction(ByteWriter& w, const Transaction& transaction) {
  VESPER_ASSERT(transaction.compares.size() <= kMaxCompares);
  w.u16(static_cast<std::uint16_t>(transaction.compares.size()));
  for (const Compare& compare : transaction.compares) {
    write_range(w, compare.range);
    w.u8(static_cast<std::uint8_t>(compare.target));
    w.u8(static_cast<std::uint8_t>(compare.op));
    if (compare.target == Compare::Target::value) w.string(compare.value.view());
    else w.u64(compare.number);
  }
  write_operations(w, transaction.then);
  write_operations(w, transaction.otherwise);
}

// ---- reading ------------------------------------------------------------------------------

// Reads the body of a command. Every function returns what it read; the first fault is kept, and
// makes the reader fail, so that the caller checks once.
class Decoder {
 public:
  explicit Decoder(const SharedBytes& payload) : payload_(payload), r_(payload.view()) {}

  Result<Command> command() {
    Command command;
    const std::uint8_t version = r_.u8();
    const std::uint8_t kind = r_.u8();
    const std::uint8_t flags = r_.u8();
    if (r_.ok() && version != kCommandVersion)
      return Error{fmt::format("command: version {} is unknown; this build knows {}", version,
                               kCommandVersion)};
    if ((flags & ~kKnownFlags) != 0) fail(fmt::format("flags {} are unknown to this build", flags));
    Conditions conditions;
    if ((flags & kIfMatch) != 0) conditions.if_match = match("If-Match");
    if ((flags & kIfNoneMatch) != 0) conditions.if_none_match = match("If-None-Match");
    if ((flags & kIdempotencyKey) != 0) idempotency_key(command);
    if (!conditions.empty() && kind != static_cast<std::uint8_t>(CommandKind::single))
      fail("conditions belong to a single operation");
    if (command.has_idempotency_key && kind == static_cast<std::uint8_t>(CommandKind::quota))
      fail("a quota has no idempotency key");
    switch (static_cast<CommandKind>(kind)) {
      case CommandKind::single: command.body = single(std::move(conditions)); break;
      case CommandKind::transaction: command.body = transaction(kMaxDepth); break;
      case CommandKind::compact: command.body = Compact{revision("compaction")}; break;
      case CommandKind::quota: command.body = SetQuota{flag("quota")}; break;
      default: fail(fmt::format("kind {} is unknown to this build", kind));
    }
    if (!fault_.empty()) return Error{"command: " + fault_};
    if (!r_.ok()) return Error{fmt::format("command: truncated after {} bytes", payload_.size())};
    if (!r_.at_end()) return Error{fmt::format("command: {} bytes after its end", r_.remaining())};
    return command;
  }

 private:
  void fail(std::string what) {
    if (r_.ok() && fault_.empty()) fault_ = std::move(what);
    r_.fail();
  }

  bool flag(std::string_view of) {
    const std::uint8_t value = r_.u8();
    if (value > 1) fail(fmt::format("{}: {} is not a flag", of, value));
    return value == 1;
  }

  Match match(std::string_view name) {
    Match match;
    const std::uint8_t any = r_.u8();
    const std::uint8_t count = r_.u8();
    if (any > 1 || count > kMaxConditionList || (any == 1 && count > 0)) {
      fail(fmt::format("{} is malformed", name));
      return match;
    }
    match.any = any == 1;
    match.revisions.reserve(count);
    for (std::uint8_t i = 0; i < count; ++i) match.revisions.push_back(r_.u64());
    return match;
  }

  void idempotency_key(Command& command) {
    const std::size_t size = r_.u8();
    const std::size_t at = r_.offset();
    const std::string_view key = r_.bytes(size);
    command.has_idempotency_key = true;
    command.fingerprint.high = r_.u64();
    command.fingerprint.low = r_.u64();
    if (!r_.ok()) return;
    if (!is_idempotency_key(key))
      return fail(fmt::format("its idempotency key is not 1 to {} bytes of visible ASCII",
                              kMaxIdempotencyKey));
    command.idempotency_key = payload_.slice(at, size);
  }

  SharedBytes slice(std::size_t size) {
    const std::size_t at = r_.offset();
    r_.bytes(size);
    return r_.ok() ? payload_.slice(at, size) : SharedBytes();
  }

  SharedBytes key() {
    const std::size_t size = r_.u16();
    if (r_.ok() && (size == 0 || size > kMaxKey))
      fail(fmt::format("a key of {} bytes, expected 1 to {}", size, kMaxKey));
    return slice(size);
  }

  SharedBytes value(std::size_t limit) {
    const std::size_t size = r_.u32();
    if (r_.ok() && size > limit)
      fail(fmt::format("a value of {} bytes, expected up to {}", size, limit));
    return slice(size);
  }

  std::string text(std::size_t limit, std::string_view what) {
    const std::size_t size = r_.u16();
    if (r_.ok() && size > limit)
      fail(fmt::format("{} of {} bytes, expected up to {}", what, size, limit));
    return std::string(r_.bytes(size));
  }

  KeyRange range() {
    KeyRange range;
    range.start = text(kMaxKey + 1, "the start of a range");
    range.end = text(kMaxKey + 1, "the end of a range");
    return range;
  }

  std::uint64_t revision(std::string_view of) {
    const std::uint64_t revision = r_.u64();
    if (r_.ok() && revision == 0) fail(fmt::format("{}: revision 0", of));
    return revision;
  }

  template <typename Enum>
  Enum enumerator(Enum first, Enum last, std::string_view what) {
    const std::uint8_t value = r_.u8();
    if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last))
      fail(fmt::format("{} {} is unknown to this build", what, value));
    return static_cast<Enum>(value);
  }

  Operation put() {
    Put put;
    const std::uint8_t flags = r_.u8();
    if ((flags & ~(kPutJson | kPutKeepValue | kPutKeepLease | kPrev)) != 0)
      fail(fmt::format("flags {} of a put are unknown to this build", flags));
    put.json = (flags & kPutJson) != 0;
    put.keep_value = (flags & kPutKeepValue) != 0;
    put.keep_lease = (flags & kPutKeepLease) != 0;
    put.prev = (flags & kPrev) != 0 ? Prev::include : Prev::omit;
    put.lease = r_.u64();
    put.key = key();
    put.value = value(value_limit(put.json ? ValueForm::json : ValueForm::bytes));
    if (put.keep_value && (put.json || !put.value.empty()))
      fail("a put that keeps the value has one");
    return put;
  }

  Operation get_range() {
    GetRange get;
    RangeQuery& query = get.query;
    query.range = range();
    query.revision = r_.u64();
    query.limit = static_cast<std::size_t>(r_.u64());
    query.order = enumerator(Order::ascending, Order::descending, "order");
    query.content = enumerator(Content::values, Content::count, "content");
    query.prefix_size = r_.u16();
    query.separator = text(kMaxSeparator, "a separator");
    if (query.prefix_size > kMaxKey) fail("a prefix that is too long");
    return get;
  }

  Operation remove() {
    Delete remove;
    const std::uint8_t flags = r_.u8();
    if ((flags & ~kPrev) != 0)
      fail(fmt::format("flags {} of a delete are unknown to this build", flags));
    remove.prev = (flags & kPrev) != 0 ? Prev::include : Prev::omit;
    remove.range = range();
    return remove;
  }

  Operation modify() {
    Modify modify;
    modify.kind = enumerator(Modify::Kind::increment, Modify::Kind::max, "modification");
    modify.key = key();
    if (modify.kind == Modify::Kind::append) modify.suffix = value(kMaxValue);
    else modify.operand = r_.i64();
    return modify;
  }

  // `depth`: how many more transactions may be nested inside.
  Operation operation(std::size_t depth) {
    const std::uint8_t kind = r_.u8();
    switch (static_cast<OperationKind>(kind)) {
      case OperationKind::put: return put();
      case OperationKind::get: {
        Get get;
        get.key = key();
        get.revision = r_.u64();
        return get;
      }
      case OperationKind::get_range: return get_range();
      case OperationKind::remove: return remove();
      case OperationKind::modify: return modify();
      case OperationKind::restore: {
        Restore restore;
        restore.key = key();
        restore.revision = revision("restore");
        return restore;
      }
      case OperationKind::nested:
        if (depth == 0) {
          fail(fmt::format("transactions are nested deeper than {}", kMaxDepth));
          break;
        }
        return Nested{std::make_unique<Transaction>(transaction(depth))};
    }
    fail(fmt::format("operation {} is unknown to this build", kind));
    return Get{};
  }

  Compare compare() {
    Compare compare;
    compare.range = range();
    compare.target = enumerator(Compare::Target::revision, Compare::Target::value, "compare");
    compare.op = enumerator(Compare::Op::equal, Compare::Op::greater, "comparison");
    if (compare.target == Compare::Target::value) compare.value = value(kMaxJson);
    else compare.number = r_.u64();
    if (compare.target == Compare::Target::exists && compare.number > 1)
      fail("a compare of existence is not 0 or 1");
    return compare;
  }

  std::size_t count(std::size_t& left, std::string_view what) {
    const std::size_t count = r_.u16();
    if (count > left) {
      fail(fmt::format("too many {}", what));
      return 0;
    }
    left -= count;
    return count;
  }

  Single single(Conditions conditions) {
    Single single{std::move(conditions), operation(0)};
    const auto* remove = std::get_if<Delete>(&single.operation);
    const bool one_key =
        remove != nullptr ? remove->range.is_single_key() : !is_read_only(single.operation);
    if (!single.conditions.empty() && !one_key) fail("conditions belong to a write of one key");
    return single;
  }

  Transaction transaction(std::size_t depth) {
    Transaction transaction;
    const std::size_t compares = count(compares_left_, "compares");
    for (std::size_t i = 0; i < compares && r_.ok(); ++i) transaction.compares.push_back(compare());
    for (auto* branch : {&transaction.then, &transaction.otherwise}) {
      const std::size_t operations = count(operations_left_, "operations");
      for (std::size_t i = 0; i < operations && r_.ok(); ++i)
        branch->push_back(operation(depth - 1));
    }
    return transaction;
  }

  const SharedBytes& payload_;
  ByteReader r_;
  std::string fault_;
  std::size_t compares_left_ = kMaxCompares;
  std::size_t operations_left_ = kMaxOperations;
};

}  // namespace

bool is_idempotency_key(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdempotencyKey &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// Every part has a length or ends itself, so that no two requests have the same form. The body is
// replaced by its checksum, so that a large body is not copied.
Id128 fingerprint_of(std::string_view method, std::string_view target, const Conditions& conditions,
                     std::string_view body) {
  std::string form;
  ByteWriter w(form);
  w.string(method);
  w.string(target);
  w.u8((conditions.if_match ? kIfMatch : 0) | (conditions.if_none_match ? kIfNoneMatch : 0));
  if (conditions.if_match) write_match(w, *conditions.if_match);
  if (conditions.if_none_match) write_match(w, *conditions.if_none_match);
  const Id128 sum = checksum128(body, kFingerprintSeed);
  w.u64(body.size());
  w.u64(sum.high);
  w.u64(sum.low);
  return checksum128(form, kFingerprintSeed);
}

std::string encode_put(std::string_view key, std::string_view value, ValueForm form,
                       const Conditions& conditions, const std::optional<IdempotencyKey>& request) {
  VESPER_ASSERT(value.size() <= value_limit(form));
  std::string out;
  // Enough for everything except the longest lists, so that a large value is not moved while the
  // string grows.
  out.reserve(64 + (request ? 32 + request->text.size() : 0) + key.size() + value.size());
  ByteWriter w(out);
  write_head(w, CommandKind::single, conditions, request);
  write_put(w, form == ValueForm::json ? kPutJson : 0, 0, key, value);
  return out;
}

std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request) {
  return encode(conditions, Delete{KeyRange::of_key(key)}, request);
}

std::string encode(const Conditions& conditions, const Operation& operation,
                   const std::optional<IdempotencyKey>& request) {
  VESPER_ASSERT(!std::holds_alternative<Nested>(operation));
  std::string out;
  ByteWriter w(out);
  write_head(w, CommandKind::single, conditions, request);
  write_operation(w, operation);
  return out;
}

std::string encode(const Transaction& transaction, const std::optional<IdempotencyKey>& request) {
  std::string out;
  ByteWriter w(out);
  write_head(w, CommandKind::transaction, {}, request);
  write_transaction(w, transaction);
  return out;
}

std::string encode(const Compact& compact, const std::optional<IdempotencyKey>& request) {
  std::string out;
  ByteWriter w(out);
  write_head(w, CommandKind::compact, {}, request);
  w.u64(compact.revision);
  return out;
}

std::string encode(const SetQuota& quota) {
  std::string out;
  ByteWriter w(out);
  write_head(w, CommandKind::quota, {}, std::nullopt);
  w.u8(quota.exceeded ? 1 : 0);
  return out;
}

Result<Command> decode_command(const SharedBytes& payload) {
  return Decoder(payload).command();
}

}  // namespace vesper::kv
