// An answer before serialization: the variable parts of the head, and a body that is either
// complete or a stream. dispatch.hpp renders an HttpExchange into an Answer and serializes the
// head.
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

inline constexpr std::string_view kNdjson = "application/x-ndjson";

struct Answer {
  int status = 200;
  std::string_view code;                               // of a problem; static text
  std::string_view content_type = "application/json";  // empty: no body, and no Content-Length
  std::optional<std::uint64_t> etag;                   // the key's revision
  std::optional<std::uint64_t> revision;               // the store's revision
  std::string_view consistency;                        // of a /kv read; static text
  std::optional<std::uint64_t> staleness_ms;           // an upper bound
  std::string_view allow;
  bool varies = false;           // the Accept of the request has chosen the form of the body
  std::string_view more_fields;  // further header fields, each with its CRLF; static text
  bool retry = false;
  bool replayed = false;  // repeats the answer to an earlier request with the same Idempotency-Key
  std::string body;
  // At most one of these replaces `body`:
  SharedBytes shared;                  // a large value, not copied
  std::unique_ptr<BodyStream> stream;  // a body that is produced while it is sent

  // Bytes of capacity that clear() keeps.
  static constexpr std::size_t kKeep = 256u << 10;

  void clear() {
    std::string buffer = std::move(body);
    buffer.clear();
    if (buffer.capacity() > kKeep) buffer = std::string();
    *this = Answer();
    body = std::move(buffer);
  }
};

}  // namespace vesper::api
