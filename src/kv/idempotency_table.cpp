#include "kv/idempotency_table.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/checksum.hpp"
#include "kv/command.hpp"
#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

// Must never change: nodes of different versions compare their digests.
constexpr std::uint64_t kReplySeed = 0xc47a19e05b3d8f26;
constexpr std::int64_t kMaxLogTime = std::int64_t{1} << 62;

Id128 digest_of(const KeptResult& kept) {
  return digest_of_form(kReplySeed, [&](ByteWriter& w) { write_kept(w, kept); });
}

}  // namespace

void write_kept(ByteWriter& w, const KeptResult& kept) {
  w.u8(static_cast<std::uint8_t>(kept.idempotency_key.size()));
  w.bytes(kept.idempotency_key);
  w.u64(kept.fingerprint.high);
  w.u64(kept.fingerprint.low);
  w.i64(kept.asked_at.value);
  w.string(kept.result.view());
}

Result<KeptResult> read_kept(ByteReader& r) {
  KeptResult kept;
  kept.idempotency_key = r.bytes(r.u8());
  kept.fingerprint.high = r.u64();
  kept.fingerprint.low = r.u64();
  kept.asked_at = LogTime{r.i64()};
  const std::size_t size = r.u32();
  if (r.ok() && size > kMaxKeptReply)
    return Error{fmt::format("the result of idempotency key '{}' has {} bytes, the limit is {}",
                             escaped(kept.idempotency_key), size, kMaxKeptReply)};
  const std::string_view result = r.bytes(size);
  if (!r.ok()) return kept;
  if (!is_idempotency_key(kept.idempotency_key))
    return Error{fmt::format("'{}' is not an idempotency key", escaped(kept.idempotency_key))};
  if (kept.asked_at.value < 0 || kept.asked_at.value > kMaxLogTime)
    return Error{fmt::format("the time of idempotency key '{}' is out of range",
                             escaped(kept.idempotency_key))};
  if (auto decoded = decode_result(result); !decoded)
    return Error{fmt::format("the result of idempotency key '{}' is malformed: {}",
                             escaped(kept.idempotency_key), decoded.error().what)};
  kept.result = SharedBytes::copy_of(result);
  return kept;
}

const KeptResult* IdempotencyTable::find(std::string_view idempotency_key, LogTime now) const {
  const auto found = by_key_.find(idempotency_key);
  if (found == by_key_.end() || is_over(found->second->second, now)) return nullptr;
  return &found->second->second;
}

void IdempotencyTable::forget_some(LogTime now) {
  for (std::size_t i = 0; i < kForgottenPerCommand; ++i) {
    if (kept_.empty() || !is_over(kept_.begin()->second, now)) return;
    remove(kept_.begin());
  }
}

bool IdempotencyTable::keep(KeptResult kept) {
  VESPER_ASSERT(fits(kept));
  auto hint = by_key_.lower_bound(kept.idempotency_key);
  if (hint != by_key_.end() && hint->first == kept.idempotency_key) {
    if (!is_over(hint->second->second, kept.asked_at)) return false;
    remove((hint++)->second);  // expired, but not yet forgotten
  }
  // Stamps never fall. If one did, this keeps the order of forgetting intact.
  if (!kept_.empty()) kept.asked_at = std::max(kept.asked_at, kept_.rbegin()->second.asked_at);
  sum_ = plus(sum_, digest_of(kept));
  bytes_ += kept.cost();
  const auto at = kept_.emplace_hint(kept_.end(), next_number_++, std::move(kept));
  by_key_.emplace_hint(hint, at->second.idempotency_key, at);
  return true;
}

// Moves the result to the end of the order, as if it had been decided now.
void IdempotencyTable::refresh(std::string_view idempotency_key, LogTime now) {
  const auto found = by_key_.find(idempotency_key);
  VESPER_ASSERT(found != by_key_.end());
  const auto at = found->second;
  const LogTime newest = std::max(now, kept_.rbegin()->second.asked_at);
  if (at->second.asked_at == newest) return;
  sum_ = minus(sum_, digest_of(at->second));
  if (is_to_be_exported(at->first)) images_.emplace(at->first, at->second);
  auto node = kept_.extract(at);
  node.key() = next_number_++;
  node.mapped().asked_at = newest;
  found->second = kept_.insert(kept_.end(), std::move(node));
  sum_ = plus(sum_, digest_of(found->second->second));
}

void IdempotencyTable::replace(std::string_view idempotency_key, std::string_view result,
                               LogTime now) {
  if (find(idempotency_key, now) == nullptr) return;
  const auto at = by_key_.find(idempotency_key)->second;
  KeptResult& kept = at->second;
  if (is_to_be_exported(at->first)) images_.emplace(at->first, kept);
  sum_ = minus(sum_, digest_of(kept));
  bytes_ -= kept.cost();
  kept.result = SharedBytes::copy_of(result);
  bytes_ += kept.cost();
  sum_ = plus(sum_, digest_of(kept));
}

void IdempotencyTable::remove(ByNumber::iterator at) {
  sum_ = minus(sum_, digest_of(at->second));
  bytes_ -= at->second.cost();
  by_key_.erase(at->second.idempotency_key);
  auto node = kept_.extract(at);
  if (is_to_be_exported(node.key())) images_.insert(std::move(node));
}

Id128 IdempotencyTable::recomputed_digest() const {
  Id128 sum;
  for (const auto& [number, kept] : kept_) sum = plus(sum, digest_of(kept));
  return sum;
}

// ---- out ----------------------------------------------------------------------------------

void IdempotencyTable::begin_export() {
  export_at_ = kept_.empty() ? next_number_ : kept_.begin()->first;
  export_end_ = next_number_;
}

bool IdempotencyTable::export_next(ByteWriter& w) {
  const auto image = images_.begin();
  const auto kept = kept_.lower_bound(export_at_);
  const bool has_kept = kept != kept_.end() && kept->first < export_end_;
  if (image != images_.end() && (!has_kept || image->first <= kept->first)) {
    write_kept(w, image->second);
    export_at_ = image->first + 1;
    images_.erase(image);
    return true;
  }
  if (!has_kept) return false;
  write_kept(w, kept->second);
  export_at_ = kept->first + 1;
  return true;
}

void IdempotencyTable::end_export() {
  export_at_ = export_end_ = 0;
  // Usually dead_ is empty, so a swap is enough.
  if (dead_.empty()) dead_.swap(images_);
  else dead_.merge(images_);
}

void IdempotencyTable::retire() {
  end_export();
  retired_ = true;
}

bool IdempotencyTable::sweep(std::size_t& max) {
  for (; max > 0 && !dead_.empty(); --max) dead_.erase(dead_.begin());
  for (; retired_ && max > 0 && !kept_.empty(); --max) {
    by_key_.erase(by_key_.begin());
    kept_.erase(kept_.begin());
  }
  return dead_.empty() && (!retired_ || kept_.empty());
}

}  // namespace vesper::kv
