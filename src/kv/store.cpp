#include "kv/store.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "base/checksum.hpp"
#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

// Must never change, like kItemSeed: nodes of different versions compare their digests.
constexpr std::uint64_t kRevisionSeed = 0x93d4a85e17fb602c;

// A small slice of a large buffer (a batch of entries from one read) is copied, so that one
// long-lived key does not keep the whole batch in memory. The store keeps alive at most twice its
// bytes plus this many per key.
constexpr std::size_t kSlack = 256;

Id128 digest_of(std::uint64_t revision) {
  char fixed[8];
  for (std::size_t i = 0; i < 8; ++i) fixed[i] = static_cast<char>(revision >> (8 * i));
  return checksum128({fixed, sizeof(fixed)}, kRevisionSeed);
}

// Copies key and value into their own buffer if they would keep a much larger one alive.
void detach(Command& command) {
  const std::size_t live = command.key.size() + command.value.size();
  if (command.key.buffer_size() <= 2 * live + kSlack) return;
  const SharedBytes own = SharedBytes::make(live, [&](char* out) {
    std::memcpy(out, command.key.data(), command.key.size());
    if (!command.value.empty())
      std::memcpy(out + command.key.size(), command.value.data(), command.value.size());
  });
  const std::size_t key_size = command.key.size();
  const std::size_t value_size = command.value.size();
  command.key = own.slice(0, key_size);
  command.value = own.slice(key_size, value_size);
}

}  // namespace

Id128 digest_of(std::string_view key, const Item& item) {
  return digest_of(key, item, checksum128(item.value.view(), kItemSeed));
}

Id128 digest_of(std::string_view key, const Item& item, Id128 value_sum) {
  const Id128 key_sum = checksum128(key, kItemSeed);
  char fixed[8 * 8];
  std::size_t at = 0;
  // Checksums replace the strings, so that the record has a fixed size and a large value is not
  // copied.
  for (const std::uint64_t word : {key_sum.high, key_sum.low, value_sum.high, value_sum.low,
                                   item.revision, item.create_revision, item.version,
                                   std::uint64_t{item.value.size()} * 2 + (item.json ? 1u : 0u)})
    for (std::size_t i = 0; i < 8; ++i) fixed[at++] = static_cast<char>(word >> (8 * i));
  return checksum128({fixed, at}, kItemSeed);
}

Store::Store(std::size_t max_idempotency_keys) : idempotency_(max_idempotency_keys) {}

Result<WriteResult> Store::apply(const SharedBytes& payload, LogTime now) {
  Result<Command> decoded = decode_command(payload);
  if (!decoded) return std::move(decoded).error();
  Command& command = *decoded;
  idempotency_.forget(now);
  if (!command.has_idempotency_key) return decide(std::move(command));
  // K1: the retry gets the same answer, and nothing is applied.
  WriteResult refused;
  refused.revision = revision_;
  if (const KeptResult* kept = idempotency_.find(command.idempotency_key.view(), now)) {
    if (kept->fingerprint == command.fingerprint) {
      WriteResult result = kept->result;
      result.replayed = true;
      idempotency_.refresh(command.idempotency_key.view(), now);
      return result;
    }
    refused.kind = WriteResult::Kind::key_reused;
    return refused;
  }
  if (idempotency_.full()) {
    refused.kind = WriteResult::Kind::table_full;
    return refused;
  }
  KeptResult answer{std::string(command.idempotency_key.view()), command.fingerprint, now, {}};
  answer.result = decide(std::move(command));
  const WriteResult result = answer.result;
  const bool kept = idempotency_.keep(std::move(answer));
  VESPER_ASSERT(kept);
  return result;
}

WriteResult Store::decide(Command&& command) {
  const std::string_view key = command.key.view();
  const auto at = records_.lower_bound(key);
  const bool exists = at != records_.end() && at->key.view() == key;
  const Item* item = exists ? &at->item : nullptr;

  WriteResult unchanged;
  unchanged.revision = revision_;
  unchanged.current_revision = exists ? item->revision : 0;
  if (!holds(command.conditions, item)) {
    unchanged.kind = WriteResult::Kind::precondition_failed;
    return unchanged;
  }
  switch (command.op) {
    case Op::put: return put(std::move(command), at, exists);
    case Op::remove:
      if (!exists) return unchanged;
      return remove(at);
  }
  VESPER_UNREACHABLE();
}

WriteResult Store::put(Command&& command, Records::iterator at, bool exists) {
  detach(command);
  ++revision_;
  Item item;
  item.value = std::move(command.value);
  item.json = command.json;
  item.revision = revision_;
  item.create_revision = exists ? at->item.create_revision : revision_;
  item.version = exists ? at->item.version + 1 : 1;
  item.digest = digest_of(command.key.view(), item);
  sum_ = plus(sum_, item.digest);
  bytes_ += item.value.size();
  const WriteResult result{WriteResult::Kind::put, revision_, item.create_revision,
                           item.version,           revision_, false};
  if (exists) {
    keep_for_export(*at);
    sum_ = minus(sum_, at->item.digest);
    bytes_ -= at->item.value.size();
    at->key = std::move(command.key);
    at->item = std::move(item);
  } else {
    bytes_ += command.key.size();
    records_.insert(at, Record{std::move(command.key), std::move(item)});
  }
  return result;
}

WriteResult Store::remove(Records::iterator at) {
  ++revision_;
  keep_for_export(*at);
  sum_ = minus(sum_, at->item.digest);
  bytes_ -= at->key.size() + at->item.value.size();
  records_.erase(at);
  return {WriteResult::Kind::removed, revision_, 0, 0, 0, false};
}

const Item* Store::find(std::string_view key) const {
  const auto at = records_.find(key);
  return at == records_.end() ? nullptr : &at->item;
}

Id128 Store::digest() const {
  return plus(plus(sum_, idempotency_.digest()), digest_of(revision_));
}

Id128 Store::recomputed_digest() const {
  Id128 sum = plus(digest_of(revision_), idempotency_.recomputed_digest());
  for (const Record& record : records_) sum = plus(sum, digest_of(record.key.view(), record.item));
  return sum;
}

// ---- exports and freeing ------------------------------------------------------------------

// Called before `record` is overwritten or removed. An export in progress keeps its state at the
// mark, unless it was already exported or written since.
void Store::keep_for_export(const Record& record) {
  if (mark_ == nullptr || record.item.revision > mark_->revision) return;
  if (mark_->begun && record.key.view() <= mark_->cursor.view()) return;
  mark_->images.emplace(record.key, record.item);
}

void Store::give_up_export() {
  // Usually there are no images left, and dead_ is empty.
  if (mark_ != nullptr && !mark_->images.empty()) {
    if (dead_.empty()) dead_ = std::move(mark_->images);
    else dead_.merge(mark_->images);
  }
  mark_.reset();
  idempotency_.end_export();
}

void Store::retire() {
  give_up_export();
  idempotency_.retire();
  dead_records_ = std::move(records_);
}

bool Store::sweep(std::size_t max, std::size_t max_bytes) {
  std::size_t bytes = 0;
  for (; max > 0 && bytes < max_bytes && !dead_.empty(); --max) {
    bytes += dead_.begin()->second.value.size();
    dead_.erase(dead_.begin());
  }
  for (; max > 0 && bytes < max_bytes && !dead_records_.empty(); --max) {
    bytes += dead_records_.begin()->item.value.size();
    dead_records_.erase(dead_records_.begin());
  }
  return idempotency_.sweep(max) && dead_.empty() && dead_records_.empty();
}

}  // namespace vesper::kv
