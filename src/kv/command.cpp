// Writes commands. They are read in command_decoder.cpp.
#include "kv/command.hpp"

#include <algorithm>

#include "base/checksum.hpp"
#include "base/overloaded.hpp"
#include "kv/command_form.hpp"
#include "kv/leases.hpp"

namespace vesper::kv {
namespace {

using namespace form;

constexpr std::uint64_t kFingerprintSeed = 0x2f85c3d1706eb94a;

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

void write_lock(ByteWriter& w, const LockName& lock) {
  VESPER_ASSERT(lock.space != Space::keys);
  w.u8(static_cast<std::uint8_t>(lock.space));
  write_key(w, lock.name);
}

void write_name(ByteWriter& w, std::string_view name) {
  VESPER_ASSERT(is_token_name(name));
  w.u8(static_cast<std::uint8_t>(name.size()));
  w.bytes(name);
}

void write_head(ByteWriter& w, CommandKind kind, const Conditions& conditions,
                const std::optional<IdempotencyKey>& request,
                const std::optional<Fence>& fence = std::nullopt, std::uint8_t flags = 0) {
  if (conditions.if_match) flags |= kIfMatch;
  if (conditions.if_none_match) flags |= kIfNoneMatch;
  if (request) flags |= kIdempotencyKey;
  if (fence) flags |= kFence;
  w.u8(kCommandVersion);
  w.u8(static_cast<std::uint8_t>(kind));
  w.u8(flags);
  if (conditions.if_match) write_match(w, *conditions.if_match);
  if (conditions.if_none_match) write_match(w, *conditions.if_none_match);
  if (request) {
    VESPER_ASSERT(is_idempotency_key(request->text));
    w.u8(static_cast<std::uint8_t>(request->text.size()));
    w.bytes(request->text);
    w.u64(request->fingerprint.high);
    w.u64(request->fingerprint.low);
  }
  if (!fence) return;
  write_key(w, fence->name);
  w.u64(fence->token);
}

void write_kind(ByteWriter& w, OperationKind kind) {
  w.u8(static_cast<std::uint8_t>(kind));
}

void write_put(ByteWriter& w, std::uint8_t flags, std::uint64_t lease, Duration ttl,
               std::string_view key, std::string_view value) {
  VESPER_ASSERT(lease == 0 || ttl.ns == 0);
  VESPER_ASSERT(ttl.ns >= 0 && ttl <= kMaxTtl);
  write_kind(w, OperationKind::put);
  w.u8(static_cast<std::uint8_t>(flags | (lease != 0 ? kPutLease : 0) |
                                 (ttl.ns != 0 ? kPutTtl : 0)));
  if (lease != 0) w.u64(lease);
  if (ttl.ns != 0) w.i64(ttl.ns);
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
                             put.lease, put.ttl, put.key.view(), put.value.view());
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

// A command with this head, and the body that write_body(ByteWriter&) writes.
template <typename WriteBody>
std::string encoded(CommandKind kind, const Conditions& conditions,
                    const std::optional<IdempotencyKey>& request, const std::optional<Fence>& fence,
                    const WriteBody& write_body) {
  std::string out;
  ByteWriter w(out);
  write_head(w, kind, conditions, request, fence);
  write_body(w);
  return out;
}
template <typename WriteBody>
std::string encoded(CommandKind kind, const std::optional<IdempotencyKey>& request,
                    const WriteBody& write_body) {
  return encoded(kind, {}, request, std::nullopt, write_body);
}

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
  write_put(w, form == ValueForm::json ? kPutJson : 0, 0, Duration{}, key, value);
  return out;
}

std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request) {
  return encode(conditions, Delete{KeyRange::of_key(key)}, request);
}

std::string encode(const Conditions& conditions, const Operation& operation,
                   const std::optional<IdempotencyKey>& request,
                   const std::optional<Fence>& fence) {
  VESPER_ASSERT(!std::holds_alternative<Nested>(operation));
  return encoded(CommandKind::single, conditions, request, fence,
                 [&](ByteWriter& w) { write_operation(w, operation); });
}

std::string encode(const Transaction& transaction, const std::optional<IdempotencyKey>& request,
                   const std::optional<Fence>& fence) {
  return encoded(CommandKind::transaction, {}, request, fence,
                 [&](ByteWriter& w) { write_transaction(w, transaction); });
}

std::string encode(const Compact& compact, const std::optional<IdempotencyKey>& request) {
  std::string out;
  ByteWriter w(out);
  write_head(w, CommandKind::compact, {}, request, std::nullopt,
             compact.by == Compact::By::server ? kOfServer : 0);
  w.u64(compact.revision);
  return out;
}

std::string encode(const SetQuota& quota) {
  return encoded(CommandKind::quota, std::nullopt,
                 [&](ByteWriter& w) { w.u8(quota.exceeded ? 1 : 0); });
}

std::string encode(const GrantLease& grant, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::grant_lease, request, [&](ByteWriter& w) {
    w.i64(grant.ttl.ns);
    w.u64(grant.most);
  });
}

std::string encode(const RenewLease& renew, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::renew_lease, request, [&](ByteWriter& w) { w.u64(renew.lease); });
}

std::string encode(const EndLease& end, const std::optional<IdempotencyKey>& request,
                   const std::optional<Fence>& fence) {
  return encoded(CommandKind::end_lease, {}, request, fence,
                 [&](ByteWriter& w) { w.u64(end.lease); });
}

std::string encode(const AcquireLock& acquire, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::acquire_lock, request, [&](ByteWriter& w) {
    write_lock(w, acquire.lock);
    w.i64(acquire.ttl.ns);
    w.u64(acquire.boot);
    w.u8(static_cast<std::uint8_t>(acquire.if_held));
    w.u64(acquire.most_locks);
    w.u64(acquire.most_waiters);
    w.string(acquire.value.view());
  });
}

std::string encode(const RenewLock& renew, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::renew_lock, request, [&](ByteWriter& w) {
    write_lock(w, renew.lock);
    w.u64(renew.token);
    w.u8(renew.value ? 1 : 0);
    if (renew.value) w.string(renew.value->view());
  });
}

std::string encode(const ReleaseLock& release, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::release_lock, request, [&](ByteWriter& w) {
    write_lock(w, release.lock);
    w.u64(release.token);
  });
}

std::string encode(const LeaveQueue& leave) {
  return encoded(CommandKind::leave_queue, std::nullopt, [&](ByteWriter& w) {
    write_lock(w, leave.lock);
    w.u64(leave.place);
    w.u64(leave.claim);
    w.u64(leave.boot);
    w.u8(static_cast<std::uint8_t>(leave.manner));
  });
}

std::string encode(const KeepPlaces& keep) {
  return encoded(CommandKind::keep_places, std::nullopt, [&](ByteWriter& w) { w.u64(keep.boot); });
}

std::string encode(const Expire& expire) {
  return encoded(CommandKind::expire, std::nullopt, [&](ByteWriter& w) {
    const auto write_count = [&w](std::size_t count) {
      VESPER_ASSERT(count <= kMaxExpired);
      w.u16(static_cast<std::uint16_t>(count));
    };
    write_count(expire.keys.size());
    for (const Expire::Key& key : expire.keys) {
      write_key(w, key.key.view());
      w.i64(key.deadline.value);
    }
    write_count(expire.leases.size());
    for (const std::uint64_t lease : expire.leases) w.u64(lease);
    write_count(expire.locks.size());
    for (const Expire::Lock& lock : expire.locks) {
      write_lock(w, lock.lock);
      w.u64(lock.token);
    }
    write_count(expire.sessions.size());
    for (const SessionId& session : expire.sessions) {
      w.u64(session.boot);
      w.u64(session.place);
    }
  });
}

std::string encode(const EnableAuth& enable) {
  std::string out;
  ByteWriter w(out);
  write_head(w, CommandKind::enable_auth, {}, std::nullopt, std::nullopt,
             enable.by == EnableAuth::By::server ? kOfServer : 0);
  w.bytes({enable.hash.data(), enable.hash.size()});
  return out;
}

std::string encode(const DisableAuth&, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::disable_auth, request, [](ByteWriter&) {});
}

std::string encode(const AddToken& add) {
  return encoded(CommandKind::add_token, std::nullopt, [&](ByteWriter& w) {
    VESPER_ASSERT(add.ttl.ns >= 0 && add.ttl <= kMaxTtl);
    write_name(w, add.name);
    w.bytes({add.hash.data(), add.hash.size()});
    w.i64(add.ttl.ns);
    write_rules(w, add.rules);
  });
}

std::string encode(const RevokeToken& revoke, const std::optional<IdempotencyKey>& request) {
  return encoded(CommandKind::revoke_token, request,
                 [&](ByteWriter& w) { write_name(w, revoke.name); });
}

SharedBytes with_identity(std::string_view command, const std::optional<Identity>& identity) {
  if (!identity) return SharedBytes::copy_of(command);
  std::string head(command.substr(0, kFlagsAt));
  ByteWriter w(head);
  w.u8(static_cast<std::uint8_t>(command[kFlagsAt]) | kIdentity);
  write_name(w, identity->name);
  w.u64(identity->id);
  const std::string_view rest = command.substr(kFlagsAt + 1);
  BytesBuilder bytes(head.size() + rest.size());
  bytes.add(head);
  bytes.add(rest);
  return bytes.finish();
}

bool is_of_server(const Command& command) {
  return std::visit(
      Overloaded{
          [](const Compact& compact) { return compact.by == Compact::By::server; },
          [](const EnableAuth& enable) { return enable.by == EnableAuth::By::server; },
          [](const SetQuota&) { return true; },
          [](const LeaveQueue&) { return true; },
          [](const KeepPlaces&) { return true; },
          [](const Expire&) { return true; },
          [](const auto&) { return false; },
      },
      command.body);
}

}  // namespace vesper::kv
