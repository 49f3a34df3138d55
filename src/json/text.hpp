// UTF-8 and base64, the two encodings of bytes in JSON, and what a JSON string escapes. Independent
// of JSON's grammar otherwise.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vesper::json {

// True if `bytes` is well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above
// U+10FFFF. NUL is allowed.
bool is_utf8(std::string_view bytes);
// How many bytes at the end begin a character of UTF-8 that is not complete, 0 to 3. Such a text
// may be a part of a longer one that is well-formed.
std::size_t incomplete_tail(std::string_view bytes);

// The length of the longest prefix that a JSON string shows as it is (RFC 8259 §7): without control
// characters, quotes and backslashes. plain_prefix() also ends at the first byte that is not ASCII.
std::size_t unescaped_prefix(std::string_view utf8);
std::size_t plain_prefix(std::string_view bytes);

// Appends base64 with padding (RFC 4648 §4).
void append_base64(std::string& out, std::string_view bytes);

// Accepts exactly what append_base64() writes: the standard alphabet, padding, no white space, and
// zeros in the unused bits. Each byte string therefore has a single encoding.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace vesper::json
