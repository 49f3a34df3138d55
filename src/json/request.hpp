// Parses the body of the seed project's endpoint, /request (docs/http-api.md), into a key and, for
// a PUT, a value. Independent of HTTP and the store; api/seed_request.cpp uses it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "json/problem.hpp"

namespace vesper::json {

struct Request {
  std::string key;  // 1 to kMaxKey bytes of UTF-8
  // The value of a PUT; empty for a GET. For a JSON string, these are its UTF-8 bytes with escapes
  // resolved, including NUL. Any other value is kept as compact JSON text: numbers digit for digit,
  // members in their order, and duplicate members twice.
  std::string value;
  bool value_is_json = false;
};

enum class RequestKind { get, put };

// Parses {"type":...,"payload":{"key":K,"value":V}} into `request` and reuses its buffers. `type`
// and unknown members are ignored, but must be valid JSON. The value of a GET is discarded. Returns
// nothing if that succeeded, otherwise the first problem; `request` is then unspecified.
[[nodiscard]] std::optional<Problem> read_request(std::string_view body, RequestKind kind,
                                                  Request& request);

// Appends `text` without insignificant white space. Strings may use different escapes for the same
// characters. Reports a problem if the depth exceeds kMaxDepth or the size exceeds kMaxBody; `out`
// may then hold a part.
[[nodiscard]] std::optional<Problem> compact(std::string_view text, std::string& out);

}  // namespace vesper::json
