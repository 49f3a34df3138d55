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

Result<WriteResult> Store::apply(const SharedBytes& payload, LogTime now) {
  Result<Command> decoded = decode_command(payload);
  if (!decoded) return std::move(decoded).error();
  const Command& command = *decoded;
  idempotency_.forget(now);
  if (!command.has_idempotency_key) return decide(command, kMaxReply, now);
  // K1: the retry gets the same answer, and nothing is applied.
  WriteResult refused;
  refused.revision = revision();
  if (const KeptResult* kept = idempotency_.find(command.idempotency_key.view(), now)) {
    if (kept->fingerprint == command.fingerprint) {
      Result<WriteResult> result = decode_result(kept->result.view());
      VESPER_ASSERT(result.ok());
      result->replayed = true;
      idempotency_.refresh(command.idempotency_key.view(), now);
      return result;
    }
    refused.kind = WriteResult::Kind::key_reused;
    return refused;
  }
  if (idempotency_.full()) {
    refused.kind = WriteResult::Kind::table_full;
    const bool many = idempotency_.size() >= idempotency_.most();
    refused.limit = many ? idempotency_.most() : kMaxIdempotencyBytes;
    return refused;
  }
  WriteResult result = decide(command, kMaxKeptReply, now);
  if (!is_decided(result)) return result;
  const bool kept =
      idempotency_.keep({std::string(command.idempotency_key.view()), command.fingerprint, now,
                         SharedBytes::copy_of(encode_result(result))});
  VESPER_ASSERT(kept);
  return result;
}

WriteResult Store::decide(const Command& command, std::size_t max_reply, LogTime now) {
  const ExecutionLimits limits{max_reply, quota_exceeded_};
  const std::uint64_t before = revision();
  WriteResult result = std::visit(
      Overloaded{
          [&](const Single& single) {
            return execute(keyspace_, single.conditions, single.operation, limits);
          },
          [&](const Transaction& transaction) { return execute(keyspace_, transaction, limits); },
          [&](const Compact& compact) { return this->compact(compact.revision); },
          [&](const SetQuota& quota) {
            quota_exceeded_ = quota.exceeded;
            WriteResult done;
            done.revision = revision();
            return done;
          },
      },
      command.body);
  if (revision() != before) times_.add(now, revision());
  return result;
}

WriteResult Store::compact(std::uint64_t to) {
  WriteResult result;
  result.revision = revision();
  if (to > revision()) {
    result.kind = WriteResult::Kind::future_revision;
    return result;
  }
  if (to < keyspace_.oldest_revision()) {
    result.kind = WriteResult::Kind::compacted;
    result.limit = keyspace_.oldest_revision();
    return result;
  }
  if (to > keyspace_.oldest_revision()) {
    keyspace_.compact(to);
    times_.forget_below(to);
  }
  result.result = CompactResult{keyspace_.oldest_revision()};
  return result;
}

// The digest of the state beside versions and kept results.
Id128 Store::digest_of_rest(Id128 older_times) const {
  std::string fixed;
  ByteWriter w(fixed);
  w.u64(keyspace_.revision());
  w.u64(keyspace_.oldest_revision());
  w.u8(quota_exceeded_ ? 1 : 0);
  times_.write_newest(w);
  return plus(checksum128(fixed, kRevisionSeed), older_times);
}

Id128 Store::digest() const {
  return plus(plus(keyspace_.digest(), idempotency_.digest()),
              digest_of_rest(times_.digest_of_older()));
}

Id128 Store::recomputed_digest() const {
  return plus(plus(keyspace_.recomputed_digest(), idempotency_.recomputed_digest()),
              digest_of_rest(times_.recomputed_digest_of_older()));
}

void Store::retire() {
  retired_ = true;
  idempotency_.retire();
}

bool Store::sweep(std::size_t max, std::size_t max_bytes) {
  bool done = false;
  if (!retired_) done = keyspace_.is_trimmed() || keyspace_.trim(max, max_bytes);
  else if (!keyspace_.is_pinned()) done = keyspace_.retire_some(max, max_bytes);
  return idempotency_.sweep(max) && done;
}

}  // namespace vesper::kv
