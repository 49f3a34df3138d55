// A text that stands in the source and is checked when it is compiled, so that its use checks
// nothing.
#pragma once

#include <cstddef>
#include <string_view>

namespace vesper {

// Never defined: a call of it in a consteval function does not compile.
void literal_is_not_valid();

// A literal for which `is_valid` holds.
template <bool (*is_valid)(std::string_view)>
class Literal {
 public:
  static constexpr std::size_t kMax = 32;  // bytes

  template <std::size_t size>
  consteval Literal(const char (&literal)[size]) : text_(literal, size - 1) {
    static_assert(size - 1 <= kMax);
    if (!is_valid(text_)) literal_is_not_valid();
  }
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

}  // namespace vesper
