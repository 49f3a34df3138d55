// UTF-8 validation, base64, and the search for bytes that a JSON string escapes.
#include "json/text.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace vesper::json {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> digits{};
  for (auto& digit : digits) digit = kNoDigit;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return digits;
}
constexpr auto kDigits = make_digits();

// What may follow a leading byte: the number of continuation bytes, and the bounds of the first
// one. The bounds exclude overlong forms, surrogates and code points above U+10FFFF (RFC 3629 §4).
struct Sequence {
  std::size_t tail;
  std::uint8_t low;
  std::uint8_t high;
};

constexpr Sequence sequence_of(std::uint8_t lead) {
  if (lead >= 0xc2 && lead <= 0xdf) return {1, 0x80, 0xbf};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};
  if (lead >= 0xe1 && lead <= 0xef) return {2, 0x80, 0xbf};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead >= 0xf1 && lead <= 0xf3) return {3, 0x80, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  return {0, 0, 0};
}

constexpr std::uint64_t repeat(std::uint8_t byte) {
  return 0x0101010101010101u * byte;
}
constexpr std::uint64_t kHighBits = repeat(0x80);

std::uint64_t word_at(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Not 0 if one of the eight bytes is below `bound`, which is at most 0x80.
constexpr std::uint64_t below(std::uint64_t word, std::uint8_t bound) {
  return (word - repeat(bound)) & ~word & kHighBits;
}

constexpr bool is_escaped(std::uint8_t byte) {
  return byte < 0x20 || byte == '"' || byte == '\\';
}

enum class Beyond : std::uint8_t { passes, stops };  // a byte that is not ASCII

template <Beyond beyond>
bool stops(std::uint8_t byte) {
  return is_escaped(byte) || (beyond == Beyond::stops && byte >= 0x80);
}

template <Beyond beyond>
bool holds_stop(std::uint64_t word) {
  std::uint64_t found =
      below(word, 0x20) | below(word ^ repeat('"'), 1) | below(word ^ repeat('\\'), 1);
  if constexpr (beyond == Beyond::stops) found |= word & kHighBits;
  return found != 0;
}

constexpr std::ptrdiff_t kBlock = 32;

// Whether one of the bytes of a block stops. Has no branch, so that the compiler can use vector
// instructions.
template <Beyond beyond>
bool block_stops(const char* at) {
  constexpr std::size_t kHalf = kBlock / 2;
  const auto stop = [&](std::size_t i) {
    const auto byte = static_cast<std::uint8_t>(at[i]);
    const bool quotes = (byte == '"') | (byte == '\\');
    if constexpr (beyond == Beyond::passes) return quotes | (byte < 0x20);
    else return quotes | (static_cast<std::int8_t>(byte) < 0x20);  // 0x80 and above is negative
  };
  char found[kHalf];
  for (std::size_t i = 0; i < kHalf; ++i) found[i] = static_cast<char>(stop(i) | stop(i + kHalf));
  return (word_at(found) | word_at(found + kHalf / 2)) != 0;
}

template <Beyond beyond>
std::size_t prefix(std::string_view bytes) {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* at = begin;
  while (end - at >= kBlock && !block_stops<beyond>(at)) at += kBlock;
  while (end - at >= 8 && !holds_stop<beyond>(word_at(at))) at += 8;
  // The last word may overlap the one before it.
  if (end - at < 8 && bytes.size() >= 8 && !holds_stop<beyond>(word_at(end - 8)))
    return bytes.size();
  while (at != end && !stops<beyond>(static_cast<std::uint8_t>(*at))) ++at;
  return static_cast<std::size_t>(at - begin);
}

}  // namespace

std::size_t unescaped_prefix(std::string_view utf8) {
  return prefix<Beyond::passes>(utf8);
}

std::size_t plain_prefix(std::string_view bytes) {
  return prefix<Beyond::stops>(bytes);
}

bool is_utf8(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    // Skip eight bytes of ASCII at a time, because most stored data is text.
    while (bytes.size() - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, 8);
      if ((word & 0x8080808080808080u) != 0) break;
      at += 8;
    }
    if (at == bytes.size()) break;
    const auto lead = static_cast<std::uint8_t>(bytes[at]);
    ++at;
    if (lead < 0x80) continue;
    const Sequence sequence = sequence_of(lead);
    if (sequence.tail == 0 || bytes.size() - at < sequence.tail) return false;
    const auto first = static_cast<std::uint8_t>(bytes[at]);
    if (first < sequence.low || first > sequence.high) return false;
    for (std::size_t i = 1; i < sequence.tail; ++i)
      if ((static_cast<std::uint8_t>(bytes[at + i]) & 0xc0) != 0x80) return false;
    at += sequence.tail;
  }
  return true;
}

std::size_t incomplete_tail(std::string_view bytes) {
  for (std::size_t size = 1; size <= 3 && size <= bytes.size(); ++size) {
    const auto byte = static_cast<std::uint8_t>(bytes[bytes.size() - size]);
    if ((byte & 0xc0) == 0x80) continue;  // not the first byte of a character
    return sequence_of(byte).tail >= size ? size : 0;
  }
  return 0;
}

void append_base64(std::string& out, std::string_view bytes) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return static_cast<unsigned char>(bytes[i]);
  };
  std::size_t at = out.size();
  out.resize(at + (bytes.size() + 2) / 3 * 4);
  const auto put = [&](std::uint32_t six) { out[at++] = kAlphabet[six & 0x3f]; };
  std::size_t i = 0;
  for (; bytes.size() - i >= 3; i += 3) {
    const std::uint32_t word = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    put(word >> 18);
    put(word >> 12);
    put(word >> 6);
    put(word);
  }
  const std::size_t left = bytes.size() - i;
  if (left == 0) return;
  const std::uint32_t word = byte(i) << 16 | (left == 2 ? byte(i + 1) << 8 : 0);
  put(word >> 18);
  put(word >> 12);
  if (left == 2) put(word >> 6);
  else out[at++] = '=';
  out[at] = '=';
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view digits = text.substr(0, text.size() - padding);
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t word = 0;
  unsigned bits = 0;
  for (const char c : digits) {
    const std::uint8_t digit = kDigits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit) return std::nullopt;
    word = word << 6 | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(static_cast<unsigned char>(word >> bits)));
    }
  }
  if ((word & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace vesper::json
