// Short forms for the tests of the store: commands, results, and whole contents.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kv/snapshot.hpp"
#include "kv/store.hpp"

namespace vesper::test {

constexpr kv::LogTime at_second(std::int64_t s) {
  return kv::LogTime(s * 1'000'000'000);
}

inline SharedBytes bytes_of(std::string_view text) {
  return SharedBytes::copy_of(text);
}

inline kv::WriteResult run(kv::Store& store, std::string_view command, kv::LogTime now = {},
                           std::uint64_t index = 1) {
  const auto result = store.apply(SharedBytes::copy_of(command), now, index);
  REQUIRE(result.ok());
  return *result;
}

inline const kv::PutResult* put_in(const kv::WriteResult& result) {
  return result.is_done() ? std::get_if<kv::PutResult>(&result.result) : nullptr;
}
inline bool is_put(const kv::WriteResult& result) {
  return put_in(result) != nullptr;
}
// How many keys were deleted; -1 if it was no delete.
inline int deleted_in(const kv::WriteResult& result) {
  const auto* done = result.is_done() ? std::get_if<kv::DeleteResult>(&result.result) : nullptr;
  return done == nullptr ? -1 : static_cast<int>(done->deleted);
}

inline kv::Conditions if_absent() {
  kv::Conditions conditions;
  conditions.if_none_match = kv::Match{true, {}};
  return conditions;
}
inline kv::Conditions if_exists() {
  kv::Conditions conditions;
  conditions.if_match = kv::Match{true, {}};
  return conditions;
}

// The whole content of a snapshot.
inline std::string content_of(kv::Store& store) {
  kv::Export exported(store);
  std::string content;
  while (!exported.read(content, SIZE_MAX, 1000)) {
  }
  return content;
}

}  // namespace vesper::test
