#include "io/tls_budget.hpp"

#include <algorithm>

#include "io/stream.hpp"

namespace vesper::io {

bool TlsBudget::take_handshake() {
  if (handshakes_ == kMaxHandshakes) return false;
  ++handshakes_;
  return true;
}

void TlsBudget::leave(Stream& stream) {
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), &stream), waiting_.end());
}

void TlsBudget::begin_turn() {
  handshakes_ = records_ = 0;
  while (!waiting_.empty() && has_room()) {
    Stream* next = waiting_.front();
    waiting_.pop_front();
    next->resume_input();
  }
}

}  // namespace vesper::io
