#include "kv/command.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/checksum.hpp"

namespace vesper::kv {
namespace {

constexpr std::uint8_t kJson = 1;
constexpr std::uint8_t kIfMatch = 2;
constexpr std::uint8_t kIfNoneMatch = 4;
constexpr std::uint8_t kIdempotencyKey = 8;
constexpr std::uint8_t kKnownFlags = kJson | kIfMatch | kIfNoneMatch | kIdempotencyKey;

constexpr std::uint64_t kFingerprintSeed = 0x2f85c3d1706eb94a;

std::size_t value_limit(bool json) {
  return json ? kMaxJson : kMaxValue;
}

void write_match(ByteWriter& w, const Match& match) {
  VESPER_ASSERT(match.revisions.size() <= kMaxConditionList);
  VESPER_ASSERT(!match.any || match.revisions.empty());
  w.u8(match.any ? 1 : 0);
  w.u8(static_cast<std::uint8_t>(match.revisions.size()));
  for (const std::uint64_t revision : match.revisions) w.u64(revision);
}

// False if the bytes are not a condition. If bytes are missing, r.ok() is false.
bool read_match(ByteReader& r, std::optional<Match>& out) {
  Match match;
  const std::uint8_t any = r.u8();
  const std::uint8_t count = r.u8();
  if (any > 1 || count > kMaxConditionList || (any == 1 && count > 0)) return false;
  match.any = any == 1;
  match.revisions.reserve(count);
  for (std::uint8_t i = 0; i < count; ++i) match.revisions.push_back(r.u64());
  out = std::move(match);
  return true;
}

// False if the bytes are not an idempotency key.
bool read_idempotency_key(ByteReader& r, const SharedBytes& payload, Command& command) {
  const std::size_t size = r.u8();
  const std::size_t at = r.offset();
  const std::string_view key = r.bytes(size);
  command.has_idempotency_key = true;
  command.fingerprint.high = r.u64();
  command.fingerprint.low = r.u64();
  if (!r.ok()) return true;
  if (!is_idempotency_key(key)) return false;
  command.idempotency_key = payload.slice(at, size);
  return true;
}

// Writes everything up to and including the key. This part is the same for every operation.
void write_head(ByteWriter& w, Op op, bool json, const Conditions& conditions,
                const std::optional<IdempotencyKey>& request, std::string_view key) {
  VESPER_ASSERT(!key.empty());
  VESPER_ASSERT(key.size() <= kMaxKey);
  std::uint8_t flags = 0;
  if (json) flags |= kJson;
  if (conditions.if_match) flags |= kIfMatch;
  if (conditions.if_none_match) flags |= kIfNoneMatch;
  if (request) flags |= kIdempotencyKey;
  w.u8(kCommandVersion);
  w.u8(static_cast<std::uint8_t>(op));
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
  w.u16(static_cast<std::uint16_t>(key.size()));
  w.bytes(key);
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

std::string encode_put(std::string_view key, std::string_view value, bool json,
                       const Conditions& conditions, const std::optional<IdempotencyKey>& request) {
  VESPER_ASSERT(value.size() <= value_limit(json));
  std::string out;
  // Enough for everything except the longest lists, so that a large value is not moved while the
  // string grows.
  out.reserve(64 + (request ? 32 + request->text.size() : 0) + key.size() + value.size());
  ByteWriter w(out);
  write_head(w, Op::put, json, conditions, request, key);
  w.string(value);
  return out;
}

std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request) {
  std::string out;
  ByteWriter w(out);
  write_head(w, Op::remove, false, conditions, request, key);
  return out;
}

Result<Command> decode_command(const SharedBytes& payload) {
  ByteReader r(payload.view());
  const std::uint8_t version = r.u8();
  const std::uint8_t op = r.u8();
  const std::uint8_t flags = r.u8();
  if (!r.ok()) return Error{fmt::format("command: truncated after {} bytes", payload.size())};
  if (version != kCommandVersion)
    return Error{fmt::format("command: version {} is unknown; this build knows {}", version,
                             kCommandVersion)};
  if (op != static_cast<std::uint8_t>(Op::put) && op != static_cast<std::uint8_t>(Op::remove))
    return Error{fmt::format("command: operation {} is unknown to this build", op)};
  Command command;
  command.op = static_cast<Op>(op);
  command.json = (flags & kJson) != 0;
  if ((flags & ~kKnownFlags) != 0 || (command.json && command.op != Op::put))
    return Error{
        fmt::format("command: flags {} of operation {} are unknown to this build", flags, op)};
  if ((flags & kIfMatch) != 0 && !read_match(r, command.conditions.if_match))
    return Error{"command: If-Match is malformed"};
  if ((flags & kIfNoneMatch) != 0 && !read_match(r, command.conditions.if_none_match))
    return Error{"command: If-None-Match is malformed"};
  if ((flags & kIdempotencyKey) != 0 && !read_idempotency_key(r, payload, command))
    return Error{fmt::format("command: its idempotency key is not 1 to {} bytes of visible ASCII",
                             kMaxIdempotencyKey)};

  const std::size_t key_size = r.u16();
  if (r.ok() && (key_size == 0 || key_size > kMaxKey))
    return Error{fmt::format("command: a key of {} bytes, expected 1 to {}", key_size, kMaxKey)};
  const std::size_t key_at = r.offset();
  r.bytes(key_size);
  std::size_t value_size = 0;
  std::size_t value_at = key_at;
  if (command.op == Op::put) {
    value_size = r.u32();
    const std::size_t limit = value_limit(command.json);
    if (value_size > limit)
      return Error{
          fmt::format("command: a value of {} bytes, expected up to {}", value_size, limit)};
    value_at = r.offset();
    r.bytes(value_size);
  }
  if (!r.ok()) return Error{fmt::format("command: truncated after {} bytes", payload.size())};
  if (!r.at_end()) return Error{fmt::format("command: {} bytes after its end", r.remaining())};
  command.key = payload.slice(key_at, key_size);
  command.value = payload.slice(value_at, value_size);
  return command;
}

}  // namespace vesper::kv
