#include "kv/version.hpp"

#include <bit>
#include <cstring>
#include <new>

#include "base/checksum.hpp"

namespace vesper::kv {
namespace {

// A slice of a much larger buffer (a batch of entries from one read) is copied, so that one
// long-lived key does not keep the whole batch in memory.
constexpr std::size_t kSlack = 256;
// The checksum of a longer key and value is stored, because a version is hashed twice: when it
// arrives and when it is replaced. For shorter ones that takes less time than memory is worth.
constexpr std::size_t kHashedTwice = 240;  // bytes

// `content`: the checksum of key and value together if the value is small, else that of the key.
// `large`: the checksum of a large value, else none. So a large value is hashed once, when it
// arrives.
Id128 digest_of(Id128 content, Id128 large, std::size_t key_size, std::size_t value_size,
                const VersionFields& fields) {
  std::uint64_t words[] = {content.high,
                           content.low,
                           large.high,
                           large.low,
                           fields.revision,
                           fields.create_revision,
                           fields.version,
                           fields.lease,
                           static_cast<std::uint64_t>(fields.deadline.value),
                           std::uint64_t{fields.place} << 32 | key_size,
                           std::uint64_t{value_size} << 3 | (fields.expired ? 4u : 0u) |
                               (fields.tombstone ? 2u : 0u) | (fields.json ? 1u : 0u),
                           std::uint64_t{static_cast<std::uint8_t>(fields.space)}};
  // Little-endian on every machine, because nodes compare their digests.
  if constexpr (std::endian::native == std::endian::big)
    for (std::uint64_t& word : words) word = __builtin_bswap64(word);
  return checksum128({reinterpret_cast<const char*>(words), sizeof(words)}, kVersionSeed);
}

}  // namespace

Version* Version::allocate(std::size_t bytes) {
  return new (::operator new(sizeof(Version) + bytes)) Version();
}

std::size_t Version::external_at(std::size_t head_size, std::size_t key_size) {
  return (head_size + key_size + alignof(External) - 1) / alignof(External) * alignof(External);
}

const Version::External* Version::external() const {
  return std::launder(reinterpret_cast<const External*>(reinterpret_cast<const char*>(this) +
                                                        external_at(head_size(), key_size_)));
}

VersionRef Version::build(std::string_view key, std::string_view value, const SharedBytes* shared,
                          const VersionFields& fields, const Id128* value_checksum) {
  VESPER_ASSERT(!key.empty());
  VESPER_ASSERT(key.size() <= UINT16_MAX);
  VESPER_ASSERT(value.size() <= UINT32_MAX);
  VESPER_ASSERT(!fields.tombstone || value.empty());
  VESPER_ASSERT(fields.lease == 0 || fields.deadline.value == 0);
  const bool external = value.size() > kInline;
  const bool counted = fields.tombstone
                           ? fields.create_revision != 0 || fields.version != 0
                           : fields.create_revision != fields.revision || fields.version != 1;
  const bool summed = !external && key.size() + value.size() > kHashedTwice;
  const auto flags = static_cast<std::uint8_t>(
      (fields.json ? kJson : 0) | (fields.tombstone ? kTombstone : 0) | (external ? kExternal : 0) |
      (fields.lease != 0 ? kLeased : 0) | (fields.deadline.value != 0 ? kExpires : 0) |
      (fields.expired ? kExpired : 0) | (counted ? kCounted : 0) | (summed ? kSummed : 0));
  const std::size_t head = sizeof(Version) + numbers(flags) * sizeof(std::uint64_t);
  const std::size_t value_at = external ? external_at(head, key.size()) : head + key.size();
  Version* version =
      allocate(value_at - sizeof(Version) + (external ? sizeof(External) : value.size()));
  version->revision_ = fields.revision;
  version->place_ = fields.place;
  version->value_size_ = static_cast<std::uint32_t>(value.size());
  version->key_size_ = static_cast<std::uint16_t>(key.size());
  version->flags_ = flags;
  version->space_ = fields.space;
  char* raw = reinterpret_cast<char*>(version);
  std::memcpy(raw + head, key.data(), key.size());
  if (external) {
    const bool may_share =
        shared != nullptr && shared->buffer_size() <= 2 * shared->size() + kSlack;
    new (raw + value_at)
        External{may_share ? *shared : SharedBytes::copy_of(value),
                 value_checksum != nullptr ? *value_checksum : checksum128(value, kVersionSeed)};
  } else if (!value.empty()) {
    std::memcpy(raw + value_at, value.data(), value.size());
  }
  char* number_at = raw + sizeof(Version);
  const auto store = [&](std::uint64_t number) {
    std::memcpy(number_at, &number, sizeof(number));
    number_at += sizeof(number);
  };
  if (counted) {
    store(fields.create_revision);
    store(fields.version);
  }
  if (summed) {
    const Id128 sum = checksum128({raw + head, key.size() + value.size()}, kVersionSeed);
    store(sum.high);
    store(sum.low);
  }
  if (fields.lease != 0) store(fields.lease);
  if (fields.deadline.value != 0) store(static_cast<std::uint64_t>(fields.deadline.value));
  return VersionRef(version);
}

VersionRef Version::make(std::string_view key, const SharedBytes& value,
                         const VersionFields& fields) {
  return build(key, value.view(), &value, fields, nullptr);
}

VersionRef Version::make(std::string_view key, std::string_view value,
                         const VersionFields& fields) {
  return build(key, value, nullptr, fields, nullptr);
}

VersionRef Version::make(std::string_view key, const SharedBytes& value,
                         const VersionFields& fields, Id128 value_checksum) {
  return build(key, value.view(), &value, fields, &value_checksum);
}

SharedBytes Version::share_value() const {
  return is_external() ? external()->value : SharedBytes::copy_of(value());
}

VersionRef Version::with_fields(const VersionFields& fields) const {
  if (!is_external()) return make(key(), value(), fields);
  return build(key(), value(), &external()->value, fields, &external()->checksum);
}

Id128 Version::content_checksum() const {
  const std::size_t hashed = key_size_ + (is_external() ? 0 : value_size_);
  return checksum128({data(), hashed}, kVersionSeed);
}

Id128 Version::digest_with(Id128 content, Id128 large) const {
  return digest_of(content, large, key_size_, value_size_, fields());
}

Id128 Version::digest() const {
  if ((flags_ & kSummed) == 0)
    return digest_with(content_checksum(), is_external() ? external()->checksum : Id128());
  const std::size_t at = (flags_ & kCounted) != 0 ? 2 : 0;
  return digest_with({number_at(at), number_at(at + 1)}, Id128());
}

Id128 Version::recomputed_digest() const {
  return digest_with(content_checksum(),
                     is_external() ? checksum128(value(), kVersionSeed) : Id128());
}

void Version::destroy() {
  if (is_external()) const_cast<External*>(external())->~External();
  this->~Version();
  ::operator delete(this);
}

}  // namespace vesper::kv
