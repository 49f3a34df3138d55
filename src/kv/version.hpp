// One version of a key: an immutable value with its revisions, or a tombstone that marks a delete.
// Versions are shared by reference count between the keyspace, the event log, snapshots in progress
// and replies. Like SharedBytes, they are confined to the loop's thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "kv/log_time.hpp"

namespace vesper::kv {

class VersionRef;

// What a version belongs to. Each space has its own names: a key, a lock and an election may be
// called alike. The values are those of the byte form. In a lock's or an election's version, the
// key is its name, the value that of the election, and the create revision the holder's token; a
// tombstone says that no one holds it.
enum class Space : std::uint8_t { keys = 0, locks = 1, elections = 2 };
inline constexpr std::size_t kSpaces = 3;

// Everything about a version except its key and value.
struct VersionFields {
  std::uint64_t revision = 0;         // of the transaction that wrote it; at least 2
  std::uint64_t create_revision = 0;  // of the write that created the key; 0 in a tombstone
  // Writes since the key was created, including that one; at least 1. 0 in a tombstone.
  std::uint64_t version = 0;
  // At most one of these is set. Never in a tombstone, or in the spaces of locks and elections.
  std::uint64_t lease = 0;  // the lease whose end deletes the key; 0: none
  LogTime deadline{};       // the key expires at this instant; 0: never
  // Counts the events of one revision, from 1: the place of this one in its transaction.
  std::uint32_t place = 1;
  bool json = false;       // the value is a JSON text, not a string of bytes
  bool tombstone = false;  // the key was deleted; there is no value
  bool expired = false;    // a tombstone: a deadline deleted the key, no client did
  Space space = Space::keys;
};

class Version {
 public:
  Version(const Version&) = delete;
  Version& operator=(const Version&) = delete;

  // Copies the key. Copies a value of up to kInline bytes, and shares a larger one, unless it would
  // keep a much larger buffer alive.
  static VersionRef make(std::string_view key, const SharedBytes& value,
                         const VersionFields& fields);
  static VersionRef make(std::string_view key, std::string_view value, const VersionFields& fields);
  // The same, given the checksum of the value (value_checksum), for a value that arrived in parts.
  static VersionRef make(std::string_view key, const SharedBytes& value,
                         const VersionFields& fields, Id128 value_checksum);

  std::string_view key() const { return {data(), key_size_}; }
  std::string_view value() const {
    return is_external() ? external()->value.view()
                         : std::string_view(data() + key_size_, value_size_);
  }
  // The value as a shared slice; a small value is copied.
  SharedBytes share_value() const;
  // A new version of the same key with the same value. O(1), however large the value is.
  VersionRef with_fields(const VersionFields& fields) const;

  std::uint64_t revision() const { return revision_; }
  std::uint64_t create_revision() const {
    if ((flags_ & kCounted) != 0) return number_at(0);
    return is_tombstone() ? 0 : revision_;
  }
  std::uint64_t version() const {
    if ((flags_ & kCounted) != 0) return number_at(1);
    return is_tombstone() ? 0 : 1;
  }
  std::uint64_t lease() const { return (flags_ & kLeased) != 0 ? tie() : 0; }
  LogTime deadline() const {
    return LogTime{(flags_ & kExpires) != 0 ? static_cast<std::int64_t>(tie()) : 0};
  }
  // Has a lease or a deadline.
  bool is_temporary() const { return (flags_ & (kLeased | kExpires)) != 0; }
  std::uint32_t place() const { return place_; }
  bool json() const { return (flags_ & kJson) != 0; }
  bool is_tombstone() const { return (flags_ & kTombstone) != 0; }
  bool is_expired() const { return (flags_ & kExpired) != 0; }
  Space space() const { return space_; }
  VersionFields fields() const {
    return {revision_, create_revision(), version(),    lease(), deadline(), place_,
            json(),    is_tombstone(),    is_expired(), space_};
  }

  // A keyed checksum over key, value and all fields. The store's digest is the sum over its
  // versions. It must never change, because nodes of different versions compare their digests.
  // Takes well below a microsecond: the checksum of a larger value is stored with it.
  Id128 digest() const;
  // The same, computed from scratch.
  Id128 recomputed_digest() const;

  // What this version counts for in quotas and limits: key, value, and a fixed amount for the rest.
  // Equal on all nodes.
  std::uint64_t cost() const { return kFixedCost + key_size_ + value_size_; }
  static constexpr std::uint64_t kFixedCost = 96;

  static constexpr std::size_t kInline = 4096;  // bytes; larger values are shared, not copied

 private:
  friend class VersionRef;
  // kCounted: the create revision and the version are stored. Otherwise they follow from the rest:
  // those of a write that created its key, or of a tombstone. kSummed: the checksum of key and
  // value is stored.
  static constexpr std::uint8_t kJson = 1, kTombstone = 2, kExternal = 4, kLeased = 8,
                                kExpires = 16, kExpired = 32, kCounted = 64, kSummed = 128;

  Version() = default;
  ~Version() = default;
  static Version* allocate(std::size_t bytes);
  static VersionRef build(std::string_view key, std::string_view value, const SharedBytes* shared,
                          const VersionFields& fields, const Id128* value_checksum);
  void destroy();

  bool is_external() const { return (flags_ & kExternal) != 0; }
  // After the fields come further numbers, the key, and the value or an External. The numbers are
  // the create revision and the version, if kCounted, the checksum, if kSummed, and the lease or
  // the deadline, if there is one.
  static std::size_t numbers(std::uint8_t flags) {
    return ((flags & kCounted) != 0 ? 2u : 0u) + ((flags & kSummed) != 0 ? 2u : 0u) +
           ((flags & (kLeased | kExpires)) != 0 ? 1u : 0u);
  }
  std::size_t head_size() const {
    return sizeof(Version) + numbers(flags_) * sizeof(std::uint64_t);
  }
  std::uint64_t number_at(std::size_t i) const {
    std::uint64_t number = 0;
    std::memcpy(&number, reinterpret_cast<const char*>(this + 1) + i * sizeof(number),
                sizeof(number));
    return number;
  }
  // The lease or the deadline; requires is_temporary().
  std::uint64_t tie() const { return number_at(numbers(flags_) - 1); }
  // Of what is hashed when it arrives: key and value, but only the key if the value is external.
  Id128 content_checksum() const;
  Id128 digest_with(Id128 content, Id128 large) const;
  const char* data() const { return reinterpret_cast<const char*>(this) + head_size(); }
  // What is stored after the key, at the next aligned position, in place of a large value.
  struct External {
    SharedBytes value;
    Id128 checksum;  // of the value
  };
  static std::size_t external_at(std::size_t head_size, std::size_t key_size);
  const External* external() const;

  std::uint64_t revision_ = 0;
  std::uint32_t references_ = 0;
  std::uint32_t value_size_ = 0;
  std::uint32_t place_ = 0;
  std::uint16_t key_size_ = 0;
  std::uint8_t flags_ = 0;
  Space space_ = Space::keys;
};

// An owning reference to a Version, or null.
class VersionRef {
 public:
  VersionRef() = default;
  explicit VersionRef(const Version* version) : version_(const_cast<Version*>(version)) {
    if (version_ != nullptr) ++version_->references_;
  }
  VersionRef(const VersionRef& other) : VersionRef(other.version_) {}
  VersionRef(VersionRef&& other) noexcept : version_(std::exchange(other.version_, nullptr)) {}
  VersionRef& operator=(VersionRef other) noexcept {
    std::swap(version_, other.version_);
    return *this;
  }
  ~VersionRef() {
    if (version_ != nullptr && --version_->references_ == 0) version_->destroy();
  }

  // Hands the reference over to the caller, who gives it back by adopt().
  const Version* release() { return std::exchange(version_, nullptr); }
  // Takes a reference over, or null.
  static VersionRef adopt(const Version* version) {
    VersionRef adopted;
    adopted.version_ = const_cast<Version*>(version);
    return adopted;
  }

  const Version* get() const { return version_; }
  const Version& operator*() const { return *version_; }
  const Version* operator->() const { return version_; }
  explicit operator bool() const { return version_ != nullptr; }

 private:
  Version* version_ = nullptr;
};

// Null in place of a tombstone: the key does not exist.
inline const Version* unless_tombstone(const Version* version) {
  return version == nullptr || version->is_tombstone() ? nullptr : version;
}

// The checksum of a value that enters a version's digest.
inline constexpr std::uint64_t kVersionSeed = 0x6b1f0c7de2a94835;

}  // namespace vesper::kv
