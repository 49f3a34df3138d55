#include "kv/store.hpp"

#include <string>
#include <utility>

#include "base/checksum.hpp"
#include "base/overloaded.hpp"
#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

// Must never change, like kVersionSeed: nodes of different versions compare their digests.
constexpr std::uint64_t kRevisionSeed = 0x93d4a85e17fb602c;

}  // namespace

Store::Store(std::size_t max_idempotency_keys) : idempotency_(max_idempotency_keys) {}

Result<WriteResult> Store::apply(const SharedBytes& payload, LogTime now, std::uint64_t index) {
  Result<Command> decoded = decode_command(payload);
  if (!decoded) return std::move(decoded).error();
  const Command& command = *decoded;
  const Stamp stamp{now, index, command.idempotency_key};
  idempotency_.forget(now);
  if (auto refused = refuse_client(command, now)) return std::move(*refused);
  if (!command.has_idempotency_key) return decide(command, kMaxReply, stamp);
  if (const KeptResult* kept = idempotency_.find(command.idempotency_key.view(), now))
    return replay(command, *kept, stamp);
  if (idempotency_.full()) {
    const bool many = idempotency_.size() >= idempotency_.most();
    return refuse(WriteResult::Kind::table_full, many ? idempotency_.most() : kMaxIdempotencyBytes);
  }
  WriteResult result = decide(command, kMaxKeptReply, stamp);
  if (!is_decided(result)) return result;
  const bool kept =
      idempotency_.keep({std::string(command.idempotency_key.view()), command.fingerprint, now,
                         SharedBytes::copy_of(encode_result(result))});
  VESPER_ASSERT(kept);
  return result;
}

// K1: the retry gets the same answer, and nothing is applied. What lasts only for a time is the
// exception, because the first answer may be outdated: a retry renews the lease or the lock, so
// that the same answer is true again, or learns that it is over. It renews no more than the time:
// a later request may have replaced the value of the election.
WriteResult Store::replay(const Command& command, const KeptResult& kept, const Stamp& stamp) {
  if (kept.fingerprint != command.fingerprint) return refuse(WriteResult::Kind::key_reused);
  Result<WriteResult> result = decode_result(kept.result.view());
  VESPER_ASSERT(result.ok());
  idempotency_.refresh(command.idempotency_key.view(), stamp.now);
  const std::uint64_t before = revision();
  if (result->is_done()) {
    const auto* lock = std::get_if<LockResult>(&result->result);
    const bool waits = lock != nullptr && lock->state == LockResult::State::queued;
    const auto again = [&](WriteResult present) {
      if (present.is_done() && !waits) return;  // the first answer is true again
      present.time = stamp.now;
      result = std::move(present);
    };
    std::visit(Overloaded{
                   [&](const AcquireLock& acquire) {
                     again(resume(acquire, std::get<LockResult>(result->result), stamp));
                   },
                   [&](const GrantLease&) {
                     const std::uint64_t id = std::get<LeaseResult>(result->result).lease;
                     again(this->carry_out(RenewLease{id}, stamp));
                   },
                   [&](const RenewLock& renew) {
                     again(this->carry_out(RenewLock{renew.lock, renew.token, {}}, stamp));
                   },
                   [&](const RenewLease& renew) { again(this->carry_out(renew, stamp)); },
                   [](const auto&) {},
               },
               command.body);
  }
  if (revision() != before) times_.add(stamp.now, revision());
  result->replayed = true;
  return std::move(*result);
}

WriteResult Store::refuse(WriteResult::Kind kind, std::uint64_t limit) const {
  WriteResult result;
  result.kind = kind;
  result.revision = revision();
  result.limit = limit;
  return result;
}

// The result of a command that has just changed the store, or that changes no revision.
WriteResult Store::result_now(OperationResult done) const {
  WriteResult result;
  result.revision = revision();
  result.result = std::move(done);
  return result;
}

WriteResult Store::decide(const Command& command, std::size_t max_reply, const Stamp& stamp) {
  const std::uint64_t before = revision();
  const bool fenced = command.fence && !locks_.is_held(command.fence->name, command.fence->token);
  WriteResult result = fenced
                           ? refuse(WriteResult::Kind::fenced, locks_.token_of(command.fence->name))
                           : carry_out(command, max_reply, stamp);
  result.time = stamp.now;
  if (revision() != before) times_.add(stamp.now, revision());
  return result;
}

WriteResult Store::carry_out(const Command& command, std::size_t max_reply, const Stamp& stamp) {
  const ExecutionContext context{max_reply, quota_exceeded_, stamp.now, &leases_, &locks_};
  return std::visit(
      Overloaded{
          [&](const Single& single) {
            return execute(keyspace_, single.conditions, single.operation, context);
          },
          [&](const Transaction& transaction) { return execute(keyspace_, transaction, context); },
          [&](const Compact& compact) { return this->compact(compact.revision); },
          [&](const SetQuota& quota) { return set_quota(quota.exceeded); },
          [&](const auto& other) { return this->carry_out(other, stamp); },
      },
      command.body);
}

WriteResult Store::compact(std::uint64_t to) {
  if (to > revision()) return refuse(WriteResult::Kind::future_revision);
  if (to < keyspace_.oldest_revision())
    return refuse(WriteResult::Kind::compacted, keyspace_.oldest_revision());
  if (to > keyspace_.oldest_revision()) {
    keyspace_.compact(to);
    times_.forget_below(to);
  }
  return result_now(CompactResult{keyspace_.oldest_revision()});
}

WriteResult Store::set_quota(bool exceeded) {
  if (exceeded && is_stuck_at_quota()) {
    keyspace_.leap(revision() + 1);
    static_cast<void>(compact(revision()));
  }
  quota_exceeded_ = exceeded;
  return result_now({});
}

// The digest of the state beside versions and kept results.
Id128 Store::digest_of_rest(Id128 older_times) const {
  std::string fixed;
  ByteWriter w(fixed);
  w.u64(keyspace_.revision());
  w.u64(keyspace_.oldest_revision());
  w.u8(static_cast<std::uint8_t>((quota_exceeded_ ? 1 : 0) | (access_.is_enabled() ? 2 : 0)));
  times_.write_newest(w);
  return plus(checksum128(fixed, kRevisionSeed), older_times);
}

Id128 Store::digest() const {
  return plus(plus(plus(keyspace_.digest(), idempotency_.digest()),
                   plus(leases_.digest(), locks_.digest())),
              plus(access_.digest(), digest_of_rest(times_.digest_of_older())));
}

Id128 Store::recomputed_digest() const {
  return plus(
      plus(plus(keyspace_.recomputed_digest(), idempotency_.recomputed_digest()),
           plus(leases_.recomputed_digest(), locks_.recomputed_digest())),
      plus(access_.recomputed_digest(), digest_of_rest(times_.recomputed_digest_of_older())));
}

void Store::retire() {
  retired_ = true;
  idempotency_.retire();
}

bool Store::sweep(std::size_t max, std::size_t max_bytes) {
  bool done = false;
  if (!retired_) done = keyspace_.is_trimmed() || keyspace_.trim(max, max_bytes);
  else if (!keyspace_.is_pinned())
    done = leases_.free_some(max) && locks_.free_some(max) && keyspace_.retire_some(max, max_bytes);
  return idempotency_.sweep(max) && done;
}

}  // namespace vesper::kv
