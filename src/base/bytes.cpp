#include "base/bytes.hpp"

#include <cstdlib>
#include <new>

namespace vesper {

SharedBytes::Block* SharedBytes::allocate(std::size_t size) {
  void* memory = ::operator new(sizeof(Block) + size);
  return new (memory) Block{1, size};
}

void SharedBytes::release() {
  if (block_ == nullptr) return;
  if (--block_->references == 0) ::operator delete(block_);
  block_ = nullptr;
}

std::string escaped(std::string_view bytes, std::size_t limit) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == limit) {
      text += "...";
      break;
    }
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c == '\n') text += "\\n";
    else if (c == '\t') text += "\\t";
    else if (c == '\\') text += "\\\\";
    else if (c >= 0x20 && c < 0x7f) text += static_cast<char>(c);
    else {
      text += "\\x";
      text += kDigits[c >> 4];
      text += kDigits[c & 15];
    }
  }
  return text;
}

}  // namespace vesper
