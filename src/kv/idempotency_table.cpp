#include "kv/replies.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/checksum.hpp"
#include "kv/command.hpp"
#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

using Kind = WriteResult::Kind;

// Fixed for good: nodes of different versions compare their digests.
constexpr std::uint64_t kReplySeed = 0xc47a19e05b3d8f26;
constexpr std::int64_t kMaxLogTime = std::int64_t{1} << 62;

Id128 digest_of(const KeptReply& reply) {
  std::string form;
  ByteWriter w(form);
  write_reply(w, reply);
  return checksum128(form, kReplySeed);
}

// One result has one form: what a kind does not have is 0.
bool well_formed(const WriteResult& result) {
  const bool bare = result.create_revision == 0 && result.version == 0;
  switch (result.kind) {
    case Kind::put:
      return result.create_revision >= 2 && result.create_revision <= result.revision &&
             result.version > 0 && result.current_revision == result.revision;
    case Kind::removed: return bare && result.revision >= 2 && result.current_revision == 0;
    case Kind::absent: return bare && result.revision >= 1 && result.current_revision == 0;
    case Kind::precondition_failed:
      return bare && result.revision >= 1 && result.current_revision <= result.revision;
    case Kind::key_reused:
    case Kind::table_full: break;
  }
  return false;
}

}  // namespace

void write_reply(ByteWriter& w, const KeptReply& reply) {
  w.u8(static_cast<std::uint8_t>(reply.token.size()));
  w.bytes(reply.token);
  w.u64(reply.fingerprint.high);
  w.u64(reply.fingerprint.low);
  w.i64(reply.asked_at.value);
  w.u8(static_cast<std::uint8_t>(reply.result.kind));
  w.u64(reply.result.revision);
  w.u64(reply.result.create_revision);
  w.u64(reply.result.version);
  w.u64(reply.result.current_revision);
}

Result<KeptReply> read_reply(ByteReader& r) {
  KeptReply reply;
  reply.token = r.bytes(r.u8());
  reply.fingerprint.high = r.u64();
  reply.fingerprint.low = r.u64();
  reply.asked_at = LogTime(r.i64());
  reply.result.kind = static_cast<Kind>(r.u8());
  reply.result.revision = r.u64();
  reply.result.create_revision = r.u64();
  reply.result.version = r.u64();
  reply.result.current_revision = r.u64();
  if (!r.ok()) return reply;
  if (!is_token(reply.token))
    return Error{fmt::format("'{}' is no token of a request", escaped(reply.token))};
  if (reply.asked_at.value < 0 || reply.asked_at.value > kMaxLogTime)
    return Error{
        fmt::format("the time of the reply to '{}' is out of range", escaped(reply.token))};
  if (!well_formed(reply.result))
    return Error{fmt::format("the reply to '{}' is malformed", escaped(reply.token))};
  return reply;
}

const KeptReply* Replies::find(std::string_view token, LogTime now) const {
  const auto found = by_token_.find(token);
  if (found == by_token_.end() || is_over(found->second->second, now)) return nullptr;
  return &found->second->second;
}

void Replies::forget_some(LogTime now) {
  for (std::size_t i = 0; i < kForgottenPerCommand; ++i) {
    if (kept_.empty() || !is_over(kept_.begin()->second, now)) return;
    remove(kept_.begin());
  }
}

bool Replies::keep(KeptReply reply) {
  VESPER_ASSERT(!full());
  auto hint = by_token_.lower_bound(reply.token);
  if (hint != by_token_.end() && hint->first == reply.token) {
    if (!is_over(hint->second->second, reply.asked_at)) return false;
    remove((hint++)->second);  // its turn to be forgotten has not come
  }
  // Stamps do not fall. Whoever says otherwise does not upset the order in which we forget.
  if (!kept_.empty()) reply.asked_at = std::max(reply.asked_at, kept_.rbegin()->second.asked_at);
  sum_ = plus(sum_, digest_of(reply));
  const auto at = kept_.emplace_hint(kept_.end(), next_number_++, std::move(reply));
  by_token_.emplace_hint(hint, at->second.token, at);
  return true;
}

// It goes to the end of the order, as if it had been decided now.
void Replies::refresh(std::string_view token, LogTime now) {
  const auto found = by_token_.find(token);
  VESPER_ASSERT(found != by_token_.end());
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

void Replies::remove(ByNumber::iterator at) {
  sum_ = minus(sum_, digest_of(at->second));
  by_token_.erase(at->second.token);
  auto node = kept_.extract(at);
  if (is_to_be_exported(node.key())) images_.insert(std::move(node));
}

Id128 Replies::recomputed_digest() const {
  Id128 sum;
  for (const auto& [number, reply] : kept_) sum = plus(sum, digest_of(reply));
  return sum;
}

// ---- out ----------------------------------------------------------------------------------

void Replies::begin_export() {
  export_at_ = kept_.empty() ? next_number_ : kept_.begin()->first;
  export_end_ = next_number_;
}

bool Replies::export_next(ByteWriter& w) {
  const auto image = images_.begin();
  const auto kept = kept_.lower_bound(export_at_);
  const bool has_kept = kept != kept_.end() && kept->first < export_end_;
  if (image != images_.end() && (!has_kept || image->first < kept->first)) {
    write_reply(w, image->second);
    export_at_ = image->first + 1;
    images_.erase(image);
    return true;
  }
  if (!has_kept) return false;
  write_reply(w, kept->second);
  export_at_ = kept->first + 1;
  return true;
}

void Replies::end_export() {
  export_at_ = export_end_ = 0;
  // Most of the time there is nothing left to take over, and never two at once.
  if (dead_.empty()) dead_.swap(images_);
  else dead_.merge(images_);
}

void Replies::retire() {
  end_export();
  retired_ = true;
}

bool Replies::sweep(std::size_t& max) {
  for (; max > 0 && !dead_.empty(); --max) dead_.erase(dead_.begin());
  for (; retired_ && max > 0 && !kept_.empty(); --max) {
    by_token_.erase(by_token_.begin());
    kept_.erase(kept_.begin());
  }
  return dead_.empty() && (!retired_ || kept_.empty());
}

}  // namespace vesper::kv
