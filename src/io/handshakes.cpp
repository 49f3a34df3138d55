#include "io/handshakes.hpp"

#include <algorithm>

#include "io/stream.hpp"

namespace vesper::io {

bool Handshakes::take() {
  if (taken_ == kMaxTaken) return false;
  ++taken_;
  return true;
}

void Handshakes::leave(Stream& stream) {
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), &stream), waiting_.end());
}

void Handshakes::begin_turn() {
  taken_ = 0;
  while (!waiting_.empty() && taken_ < kMaxTaken) {
    Stream* next = waiting_.front();
    waiting_.pop_front();
    next->resume_handshake();
  }
}

}  // namespace vesper::io
