// Runs a loop until something holds, for tests over real sockets.
#pragma once

#include <functional>
#include <utility>

#include "io/loop.hpp"
#include "io/timer.hpp"

namespace vesper::test {

class LoopUntil {
 public:
  explicit LoopUntil(io::Loop& loop) : loop_(loop) {}

  // Runs the loop until `holds` returns true. Returns false if it did not within `patience`.
  bool run(std::function<bool()> holds, Duration patience = seconds(10)) {
    holds_ = std::move(holds);
    timed_out_ = false;
    timer_.start(patience);
    if (!holds_()) loop_.run();
    timer_.stop();
    holds_ = nullptr;
    return !timed_out_;
  }
  // Call at the end of each turn.
  void end_turn() {
    if (holds_ && holds_()) loop_.stop();
  }

 private:
  void on_timer() {
    timed_out_ = true;
    loop_.stop();
  }

  io::Loop& loop_;
  io::Timer timer_{loop_, io::Delegate<void>::to<&LoopUntil::on_timer>(this)};
  std::function<bool()> holds_;
  bool timed_out_ = false;
};

}  // namespace vesper::test
