#include "kv/version_codec.hpp"

#include <fmt/core.h>

#include "kv/item.hpp"

namespace vesper::kv {
namespace {

constexpr std::uint8_t kJson = 1;
constexpr std::uint8_t kTombstone = 2;
constexpr std::uint8_t kExpired = 4;
constexpr std::uint8_t kLeased = 8;
constexpr std::uint8_t kExpires = 16;
constexpr std::uint8_t kKnownFlags = kJson | kTombstone | kExpired | kLeased | kExpires;

bool in_range(const VersionFields& fields, std::size_t value_size) {
  if (fields.place == 0) return false;
  const bool is_temporary = fields.lease != 0 || fields.deadline.value != 0;
  if (is_temporary && (fields.tombstone || fields.space != Space::keys)) return false;
  if (fields.lease != 0 && fields.deadline.value != 0) return false;
  if (fields.tombstone)
    return fields.revision >= 2 && fields.create_revision == 0 && fields.version == 0 &&
           value_size == 0 && !fields.json;
  if (fields.expired) return false;
  return fields.create_revision >= 2 && fields.create_revision <= fields.revision &&
         fields.version > 0;
}

}  // namespace

void write_version_head(ByteWriter& w, const Version& version) {
  w.u16(static_cast<std::uint16_t>(version.key().size()));
  w.bytes(version.key());
  const std::uint64_t lease = version.lease();
  const std::int64_t deadline = version.deadline().value;
  w.u8(static_cast<std::uint8_t>((version.json() ? kJson : 0) |
                                 (version.is_tombstone() ? kTombstone : 0) |
                                 (version.is_expired() ? kExpired : 0) |
                                 (lease != 0 ? kLeased : 0) | (deadline != 0 ? kExpires : 0)));
  w.u8(static_cast<std::uint8_t>(version.space()));
  w.u64(version.revision());
  w.u64(version.create_revision());
  w.u64(version.version());
  if (lease != 0) w.u64(lease);
  if (deadline != 0) w.i64(deadline);
  w.u32(version.place());
  w.u32(static_cast<std::uint32_t>(version.value().size()));
}

void write_version(ByteWriter& w, const Version& version) {
  write_version_head(w, version);
  w.bytes(version.value());
}

Result<VersionHead> read_version_head(ByteReader& r) {
  VersionHead head;
  const std::size_t key_size = r.u16();
  if (r.ok() && (key_size == 0 || key_size > kMaxKey))
    return Error{fmt::format("a key of {} bytes, expected 1 to {}", key_size, kMaxKey)};
  head.key = r.bytes(key_size);
  const std::uint8_t flags = r.u8();
  head.fields.json = (flags & kJson) != 0;
  head.fields.tombstone = (flags & kTombstone) != 0;
  head.fields.expired = (flags & kExpired) != 0;
  const std::uint8_t space = r.u8();
  head.fields.revision = r.u64();
  head.fields.create_revision = r.u64();
  head.fields.version = r.u64();
  if ((flags & kLeased) != 0) head.fields.lease = r.u64();
  if ((flags & kExpires) != 0) head.fields.deadline = LogTime{r.i64()};
  head.fields.place = r.u32();
  head.value_size = r.u32();
  if (!r.ok()) return head;
  if ((flags & ~kKnownFlags) != 0)
    return Error{fmt::format("flags {} are unknown to this build", flags)};
  if (space >= kSpaces) return Error{fmt::format("space {} is unknown to this build", space)};
  head.fields.space = static_cast<Space>(space);
  if ((flags & kLeased) != 0 && head.fields.lease == 0) return Error{"a lease of 0"};
  if ((flags & kExpires) != 0 && head.fields.deadline.value <= 0)
    return Error{"a deadline that is not positive"};
  if (head.value_size > (head.fields.json ? kMaxJson : kMaxValue))
    return Error{fmt::format("a value of {} bytes is too large", head.value_size)};
  if (!in_range(head.fields, head.value_size))
    return Error{fmt::format("the revisions of key '{}' are out of range", escaped(head.key))};
  return head;
}

Result<VersionRef> read_version(ByteReader& r) {
  auto head = read_version_head(r);
  if (!head) return std::move(head).error();
  const std::string_view value = r.bytes(head->value_size);
  if (!r.ok()) return VersionRef();
  return Version::make(head->key, value, head->fields);
}

}  // namespace vesper::kv
