// Why a JSON text was refused, with the codes of the error table in docs/http-api.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vesper::json {

inline constexpr std::size_t kMaxDepth = 64;        // nested containers, including the outermost
inline constexpr std::size_t kMaxKey = 4096;        // bytes of a key
inline constexpr std::size_t kMaxBody = 16u << 20;  // bytes of a JSON text

struct Problem {
  enum class Code {
    malformed,        // not JSON, or beyond a limit
    invalid_field,    // `field` is missing, duplicate or of the wrong type
    invalid_key,      // the key is empty or too long
    value_too_large,  // the value is longer than `limit`
  };
  Code code = Code::malformed;
  std::string detail;       // for people; begins with "byte N: ", except for a duplicate member
  std::string field;        // path of the member, such as "payload.key"; empty for malformed
  std::uint64_t limit = 0;  // the limit that was exceeded, if any; otherwise 0
  std::size_t offset = 0;  // where the problem was found, in bytes from 0; 0 for a duplicate member
};

// The stable code for replies.
constexpr std::string_view to_string(Problem::Code code) {
  switch (code) {
    case Problem::Code::malformed: return "malformed";
    case Problem::Code::invalid_field: return "invalid_field";
    case Problem::Code::invalid_key: return "invalid_key";
    case Problem::Code::value_too_large: return "value_too_large";
  }
  return "malformed";
}

}  // namespace vesper::json
