// UTF-8 and base64: the two forms that bytes take in JSON. Nothing here knows JSON's grammar.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vesper::json {

// Whether `bytes` are well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above
// U+10FFFF. NUL is a character like any other.
bool is_utf8(std::string_view bytes);

// RFC 4648 §4, with padding. Appends to `out`.
void append_base64(std::string& out, std::string_view bytes);

// Takes exactly what append_base64 writes: the standard alphabet, padding, no white space, and zero
// in the bits that the padding leaves over, so that no two texts mean the same bytes.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace vesper::json
