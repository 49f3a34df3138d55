// Why a JSON text from outside was refused, in the words of the error table in docs/http-api.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vesper::json {

inline constexpr std::size_t kMaxDepth = 64;  // containers in one another, the outermost counted
inline constexpr std::size_t kMaxKey = 4096;  // bytes of a key
inline constexpr std::size_t kMaxBody = 16u << 20;  // bytes of a JSON text

struct Problem {
  enum class Code {
    malformed,      // no JSON, or JSON beyond a limit
    invalid_field,  // `field` is missing, there twice, or of another type
    invalid_key,    // the key is empty or too long
  };
  Code code = Code::malformed;
  std::string detail;       // for people; begins with "byte N: " but for a twin of a document
  std::string field;        // path of the member, "payload.key"; empty for malformed
  std::uint64_t limit = 0;  // the limit that was exceeded, where it was one; else 0
  std::size_t offset = 0;   // in bytes from 0, of what was found; 0 for such a twin
};

// The stable word for replies: "malformed", "invalid_field", "invalid_key".
constexpr std::string_view to_string(Problem::Code code) {
  switch (code) {
    case Problem::Code::malformed: return "malformed";
    case Problem::Code::invalid_field: return "invalid_field";
    case Problem::Code::invalid_key: return "invalid_key";
  }
  return "malformed";
}

}  // namespace vesper::json
