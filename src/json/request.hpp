// The body of the seed project's endpoint, /request (docs/http-api.md): checked, and turned into a
// key and, for a PUT, a value. Knows nothing of HTTP or of the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "json/problem.hpp"

namespace vesper::json {

struct Request {
  std::string key;  // 1 to kMaxKey bytes of UTF-8
  // A PUT's value, empty for a GET. Where it was a string: its UTF-8 bytes, escapes resolved, NUL
  // included. Any other JSON value: its compact JSON text, numbers digit for digit, members in
  // their order, twice where they were there twice.
  std::string value;
  bool value_is_json = false;
};

enum class RequestKind { get, put };

// Reads {"type":...,"payload":{"key":K,"value":V}} into `request`, whose buffers are reused.
// `type` and unknown members are not looked at, but have to be JSON. A GET may carry a value; it is
// dropped. Nothing: all is well. Else what was wrong first; `request` is then undefined.
[[nodiscard]] std::optional<Problem> read_request(std::string_view body, RequestKind kind,
                                                  Request& request);

// Appends `text` without insignificant white space; strings may come out with other escapes for the
// same characters. Requires depth <= kMaxDepth and text.size() <= kMaxBody, else a problem, and
// `out` may hold a part.
[[nodiscard]] std::optional<Problem> compact(std::string_view text, std::string& out);

}  // namespace vesper::json
