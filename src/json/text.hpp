// UTF-8 and base64, the two encodings of bytes in JSON. Independent of JSON's grammar.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vesper::json {

// True if `bytes` is well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above
// U+10FFFF. NUL is allowed.
bool is_utf8(std::string_view bytes);

// Appends base64 with padding (RFC 4648 §4).
void append_base64(std::string& out, std::string_view bytes);

// Accepts exactly what append_base64() writes: the standard alphabet, padding, no white space, and
// zeros in the unused bits. Each byte string therefore has a single encoding.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace vesper::json
