// Strong identifiers: ids of different kinds neither compare nor convert.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vesper {

// An integer with its own type. Tag is an incomplete type that is used for nothing else.
template <typename Tag, typename Rep>
struct StrongId {
  Rep value{};

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value(v) {}

  constexpr auto operator<=>(const StrongId&) const = default;
  constexpr StrongId next() const { return StrongId(value + 1); }
};

// 128 random bits, written as 32 lower-case hex digits. All zero means "none".
struct Id128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  constexpr auto operator<=>(const Id128&) const = default;
  constexpr bool is_none() const { return high == 0 && low == 0; }
};

std::string to_hex(std::uint64_t value);  // 16 lower-case digits
std::string to_hex(Id128 id);             // 32 lower-case digits

// Parses exactly 16 (or 32) hex digits of either case. Returns nothing for any other text.
std::optional<std::uint64_t> parse_hex64(std::string_view text);
std::optional<Id128> parse_hex128(std::string_view text);

}  // namespace vesper
