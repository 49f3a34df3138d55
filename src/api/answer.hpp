// An answer before it is written: the head's variable parts and the body, which is whole or a
// stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/body_stream.hpp"
#include "base/bytes.hpp"

namespace vesper::api {

struct Answer {
  int status = 200;
  std::string_view content_type = "application/json";  // empty: no body, not even an empty one
  std::optional<std::uint64_t> etag;                   // a key's revision
  std::optional<std::uint64_t> revision;               // the store's
  std::string_view consistency;                        // of a read of /kv; static text
  std::optional<std::uint64_t> staleness_ms;           // at most that
  std::string_view allow;
  bool retry = false;
  bool replayed = false;  // the answer to an earlier request with the same Idempotency-Key
  std::string body;
  // In place of `body`:
  SharedBytes shared;                  // a large value as it is
  std::unique_ptr<BodyStream> stream;  // a body that is produced while the client takes it

  void clear() {
    std::string buffer = std::move(body);
    buffer.clear();
    if (buffer.capacity() > kKeep) buffer = std::string();
    *this = Answer();
    body = std::move(buffer);
  }

 private:
  static constexpr std::size_t kKeep = 256u << 10;
};

}  // namespace vesper::api
