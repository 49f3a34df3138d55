// The byte form of a decided result. Little-endian:
//
//   u8 form = 2   u8 kind   u64 revision   i64 time   u64 current_revision   u64 limit
//   u16 count, path steps   done: result
//
//   path step: u8 branch   u32 at
//   result: u8 type, then
//     1 put          u64 revision   u64 create_revision   u64 version   [now]   [prev]
//     2 delete       u64 deleted   u32 count, versions
//     3 get          [version]
//     4 range        u8 content   u32 count, versions   u32 count, strings   u64 count   u8 more
//                    string (resume)
//     5 transaction  u8 succeeded   u32 count, results
//     6 compaction   u64 oldest revision
//     7 lease        u64 lease   i64 ttl   u64 deleted
//     8 lock         u8 state   u64 place   u64 token   i64 ttl
//     9 tokens       u64 id   i64 expires   u64 count
//   [x]: u8 present, then x. The versions are those of version_codec.hpp; with content `keys`,
//   their values are left out.
#include "kv/write_result.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "base/overloaded.hpp"
#include "kv/item.hpp"
#include "kv/version_codec.hpp"

namespace vesper::kv {
namespace {

using Kind = WriteResult::Kind;

constexpr std::uint8_t kForm = 2;
constexpr std::size_t kPerItem = 64;  // see reply_size()

enum class Type : std::uint8_t {
  put = 1,
  remove,
  get,
  range,
  transaction,
  compaction,
  lease,
  lock,
  tokens
};

// ---- writing

void write_optional(ByteWriter& w, const VersionRef& version) {
  w.u8(version ? 1 : 0);
  if (version) write_version(w, *version);
}

void write_versions(ByteWriter& w, const std::vector<VersionRef>& versions) {
  w.u32(static_cast<std::uint32_t>(versions.size()));
  for (const VersionRef& version : versions) write_version(w, *version);
}

void write_type(ByteWriter& w, Type type) {
  w.u8(static_cast<std::uint8_t>(type));
}

void write(ByteWriter& w, const OperationResult& result);

void write(ByteWriter& w, const RangeResult& range) {
  write_type(w, Type::range);
  w.u8(static_cast<std::uint8_t>(range.content));
  if (range.content == Content::values) {
    write_versions(w, range.kvs);
  } else {
    w.u32(static_cast<std::uint32_t>(range.kvs.size()));
    for (const VersionRef& version : range.kvs)
      write_version(w, *Version::make(version->key(), std::string_view(), version->fields()));
  }
  w.u32(static_cast<std::uint32_t>(range.prefixes.size()));
  for (const std::string& prefix : range.prefixes) w.string(prefix);
  w.u64(range.count);
  w.u8(range.more ? 1 : 0);
  w.string(range.resume);
}

void write(ByteWriter& w, const OperationResult& result) {
  std::visit(Overloaded{
                 [&](const PutResult& put) {
                   write_type(w, Type::put);
                   w.u64(put.revision);
                   w.u64(put.create_revision);
                   w.u64(put.version);
                   write_optional(w, put.now);
                   write_optional(w, put.prev);
                 },
                 [&](const DeleteResult& remove) {
                   write_type(w, Type::remove);
                   w.u64(remove.deleted);
                   write_versions(w, remove.prev);
                 },
                 [&](const GetResult& get) {
                   write_type(w, Type::get);
                   write_optional(w, get.found);
                 },
                 [&](const RangeResult& range) { write(w, range); },
                 [&](const TransactionResult& transaction) {
                   write_type(w, Type::transaction);
                   w.u8(transaction.succeeded ? 1 : 0);
                   w.u32(static_cast<std::uint32_t>(transaction.results.size()));
                   for (const OperationResult& one : transaction.results) write(w, one);
                 },
                 [&](const CompactResult& compact) {
                   write_type(w, Type::compaction);
                   w.u64(compact.oldest_revision);
                 },
                 [&](const LeaseResult& lease) {
                   write_type(w, Type::lease);
                   w.u64(lease.lease);
                   w.i64(lease.ttl.ns);
                   w.u64(lease.deleted);
                 },
                 [&](const LockResult& lock) {
                   write_type(w, Type::lock);
                   w.u8(static_cast<std::uint8_t>(lock.state));
                   w.u64(lock.place);
                   w.u64(lock.token);
                   w.i64(lock.ttl.ns);
                 },
                 [&](const AccessResult& access) {
                   write_type(w, Type::tokens);
                   w.u64(access.id);
                   w.i64(access.expires.value);
                   w.u64(access.tokens);
                 },
             },
             static_cast<const OperationResult::variant&>(result));
}

// ---- reading; an error in the content makes the reader fail

bool read_flag(ByteReader& r) {
  const std::uint8_t flag = r.u8();
  if (flag > 1) r.fail();
  return flag == 1;
}

VersionRef read_one(ByteReader& r) {
  auto version = read_version(r);
  if (!version) {
    r.fail();
    return {};
  }
  return *version;
}

VersionRef read_optional(ByteReader& r) {
  return read_flag(r) ? read_one(r) : VersionRef();
}

std::vector<VersionRef> read_versions(ByteReader& r) {
  std::vector<VersionRef> versions;
  const std::size_t count = r.u32();
  for (std::size_t i = 0; i < count && r.ok(); ++i) versions.push_back(read_one(r));
  return versions;
}

OperationResult read_result(ByteReader& r, std::size_t depth);

OperationResult read_transaction(ByteReader& r, std::size_t depth) {
  TransactionResult transaction;
  transaction.succeeded = read_flag(r);
  const std::size_t count = r.u32();
  if (depth == 0) r.fail();
  for (std::size_t i = 0; i < count && r.ok(); ++i)
    transaction.results.push_back(read_result(r, depth - 1));
  return transaction;
}

OperationResult read_range(ByteReader& r) {
  RangeResult range;
  const std::uint8_t content = r.u8();
  if (content > static_cast<std::uint8_t>(Content::count)) r.fail();
  range.content = static_cast<Content>(content);
  range.kvs = read_versions(r);
  const bool has_values = std::any_of(range.kvs.begin(), range.kvs.end(), [](const VersionRef& kv) {
    return kv && !kv->value().empty();
  });
  if (range.content != Content::values && has_values) r.fail();
  if (range.content == Content::count && !range.kvs.empty()) r.fail();
  const std::size_t count = r.u32();
  for (std::size_t i = 0; i < count && r.ok(); ++i) range.prefixes.emplace_back(r.string(kMaxKey));
  range.count = r.u64();
  range.more = read_flag(r);
  range.resume = r.string(kMaxKey + 1);
  return range;
}

OperationResult read_lease(ByteReader& r) {
  LeaseResult lease;
  lease.lease = r.u64();
  lease.ttl = Duration{r.i64()};
  lease.deleted = r.u64();
  if (lease.ttl.ns < 0) r.fail();
  return lease;
}

OperationResult read_lock(ByteReader& r) {
  LockResult lock;
  const std::uint8_t state = r.u8();
  if (state < static_cast<std::uint8_t>(LockResult::State::granted) ||
      state > static_cast<std::uint8_t>(LockResult::State::done))
    r.fail();
  lock.state = static_cast<LockResult::State>(state);
  lock.place = r.u64();
  lock.token = r.u64();
  lock.ttl = Duration{r.i64()};
  if (lock.ttl.ns < 0) r.fail();
  return lock;
}

OperationResult read_access(ByteReader& r) {
  AccessResult access;
  access.id = r.u64();
  access.expires = LogTime{r.i64()};
  access.tokens = r.u64();
  if (access.expires.value < 0) r.fail();
  return access;
}

OperationResult read_result(ByteReader& r, std::size_t depth) {
  switch (static_cast<Type>(r.u8())) {
    case Type::put: {
      PutResult put;
      put.revision = r.u64();
      put.create_revision = r.u64();
      put.version = r.u64();
      put.now = read_optional(r);
      put.prev = read_optional(r);
      if (put.create_revision < 2 || put.create_revision > put.revision || put.version == 0)
        r.fail();
      return put;
    }
    case Type::remove: {
      DeleteResult remove;
      remove.deleted = r.u64();
      remove.prev = read_versions(r);
      return remove;
    }
    case Type::get: return GetResult{read_optional(r)};
    case Type::range: return read_range(r);
    case Type::transaction: return read_transaction(r, depth);
    case Type::compaction: return CompactResult{r.u64()};
    case Type::lease: return read_lease(r);
    case Type::lock: return read_lock(r);
    case Type::tokens: return read_access(r);
  }
  r.fail();
  return GetResult{};
}

std::size_t size_of(const VersionRef& version) {
  return version ? kPerItem + version->key().size() + version->value().size() : 0;
}

}  // namespace

bool is_decided(const WriteResult& result) {
  return result.kind <= Kind::fenced;
}

std::size_t reply_size(const OperationResult& result) {
  const auto all = [](const std::vector<VersionRef>& versions) {
    std::size_t size = 0;
    for (const VersionRef& version : versions) size += size_of(version);
    return size;
  };
  return kPerItem +
         std::visit(Overloaded{
                        [&](const PutResult& put) { return size_of(put.now) + size_of(put.prev); },
                        [&](const DeleteResult& remove) { return all(remove.prev); },
                        [&](const GetResult& get) { return size_of(get.found); },
                        [&](const RangeResult& range) {
                          std::size_t size = 0;
                          for (const VersionRef& version : range.kvs)
                            size += range.content == Content::values
                                        ? size_of(version)
                                        : kPerItem + version->key().size();
                          for (const std::string& prefix : range.prefixes)
                            size += kPerItem + prefix.size();
                          return size + range.resume.size();
                        },
                        [&](const TransactionResult& transaction) {
                          std::size_t size = 0;
                          for (const OperationResult& one : transaction.results)
                            size += reply_size(one);
                          return size;
                        },
                        [](const auto&) { return std::size_t{0}; },
                    },
                    static_cast<const OperationResult::variant&>(result));
}

std::string encode_result(const WriteResult& result) {
  VESPER_ASSERT(is_decided(result));
  std::string out;
  ByteWriter w(out);
  w.u8(kForm);
  w.u8(static_cast<std::uint8_t>(result.kind));
  w.u64(result.revision);
  w.i64(result.time.value);
  w.u64(result.current_revision);
  w.u64(result.limit);
  w.u16(static_cast<std::uint16_t>(result.path.size()));
  for (const WriteResult::Step& step : result.path) {
    w.u8(static_cast<std::uint8_t>(step.branch));
    w.u32(step.at);
  }
  if (result.is_done()) write(w, result.result);
  return out;
}

Result<WriteResult> decode_result(std::string_view bytes) {
  ByteReader r(bytes);
  WriteResult result;
  const std::uint8_t form = r.u8();
  result.kind = static_cast<Kind>(r.u8());
  result.revision = r.u64();
  result.time = LogTime{r.i64()};
  result.current_revision = r.u64();
  result.limit = r.u64();
  const std::size_t steps = r.u16();
  if (steps > kMaxDepth + 1) r.fail();
  for (std::size_t i = 0; i < steps && r.ok(); ++i) {
    const std::uint8_t branch = r.u8();
    if (branch > static_cast<std::uint8_t>(WriteResult::Step::Branch::compare)) r.fail();
    result.path.push_back({static_cast<WriteResult::Step::Branch>(branch), r.u32()});
  }
  if (r.ok() && form != kForm)
    return Error{fmt::format("result: form {} is unknown; this build knows {}", form, kForm)};
  if (r.ok() && (result.kind < Kind::done || !is_decided(result)))
    return Error{fmt::format("result: kind {} is unknown to this build",
                             static_cast<unsigned>(result.kind))};
  if (result.revision == 0 || result.current_revision > result.revision || result.time.value < 0)
    r.fail();
  if (result.is_done()) result.result = read_result(r, kMaxDepth + 1);
  if (!r.ok() || !r.at_end())
    return Error{fmt::format("result: malformed in {} bytes", bytes.size())};
  return result;
}

}  // namespace vesper::kv
