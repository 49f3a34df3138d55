#include "kv/version_codec.hpp"

#include <fmt/core.h>

#include "kv/item.hpp"

namespace vesper::kv {
namespace {

constexpr std::uint8_t kJson = 1;
constexpr std::uint8_t kTombstone = 2;

bool in_range(const VersionFields& fields, std::size_t value_size) {
  if (fields.place == 0) return false;
  if (fields.tombstone)
    return fields.revision >= 2 && fields.create_revision == 0 && fields.version == 0 &&
           fields.lease == 0 && value_size == 0 && !fields.json;
  return fields.create_revision >= 2 && fields.create_revision <= fields.revision &&
         fields.version > 0;
}

}  // namespace

void write_version_head(ByteWriter& w, const Version& version) {
  w.u16(static_cast<std::uint16_t>(version.key().size()));
  w.bytes(version.key());
  w.u8(static_cast<std::uint8_t>((version.json() ? kJson : 0) |
                                 (version.is_tombstone() ? kTombstone : 0)));
  w.u64(version.revision());
  w.u64(version.create_revision());
  w.u64(version.version());
  w.u64(version.lease());
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
  head.fields.revision = r.u64();
  head.fields.create_revision = r.u64();
  head.fields.version = r.u64();
  head.fields.lease = r.u64();
  head.fields.place = r.u32();
  head.value_size = r.u32();
  if (!r.ok()) return head;
  if ((flags & ~(kJson | kTombstone)) != 0)
    return Error{fmt::format("flags {} are unknown to this build", flags)};
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
