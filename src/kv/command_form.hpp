// The numbers in the byte form of a command (kv/command.hpp), shared by its encoder and its
// decoder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv/command.hpp"
#include "kv/item.hpp"

namespace vesper::kv::form {

inline constexpr std::uint8_t kIfMatch = 1;
inline constexpr std::uint8_t kIfNoneMatch = 2;
inline constexpr std::uint8_t kIdempotencyKey = 4;
inline constexpr std::uint8_t kFence = 8;
inline constexpr std::uint8_t kIdentity = 16;
inline constexpr std::uint8_t kOfServer = 32;
inline constexpr std::uint8_t kKnownFlags =
    kIfMatch | kIfNoneMatch | kIdempotencyKey | kFence | kIdentity | kOfServer;
inline constexpr std::size_t kFlagsAt = 2;  // the place of the flags; the identity follows them

inline constexpr std::uint8_t kPutJson = 1;
inline constexpr std::uint8_t kPutKeepValue = 2;
inline constexpr std::uint8_t kPutKeepLease = 4;
inline constexpr std::uint8_t kPrev = 8;
inline constexpr std::uint8_t kPutLease = 16;
inline constexpr std::uint8_t kPutTtl = 32;

enum class CommandKind : std::uint8_t {
  single = 1,
  transaction,
  compact,
  quota,
  grant_lease,
  renew_lease,
  end_lease,
  acquire_lock,
  renew_lock,
  release_lock,
  leave_queue,
  keep_places,
  expire,
  enable_auth,
  disable_auth,
  add_token,
  revoke_token
};
enum class OperationKind : std::uint8_t {
  put = 1,
  get,
  get_range,
  remove,
  modify,
  restore,
  nested
};

// Bytes of a value.
constexpr std::size_t value_limit(ValueForm form) {
  return form == ValueForm::json ? kMaxJson : kMaxValue;
}

}  // namespace vesper::kv::form
