// A timer for what needs no precision (sweeps, redials), and work for another thread. The node's
// deadline is the loop's own (io/loop.hpp).
#pragma once

#include "base/time.hpp"
#include "io/delegate.hpp"
#include "io/loop.hpp"

namespace vesper::io {

// May be destroyed or started again from within its own callback.
class Timer {
 public:
  Timer(Loop& loop, Delegate<void> on_timer);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // After `first`, then every `repeat` (zero: once). Replaces what was set before.
  void start(Duration first, Duration repeat = {});
  void stop();
  bool active() const;

 private:
  struct Handle {
    uv_timer_t timer;
    Timer* owner;
  };
  Delegate<void> on_timer_;
  Handle* handle_;  // freed by its close callback
};

// One piece of work on a thread of the pool. `work` runs there and touches nothing that the loop's
// thread uses meanwhile; `done` is called on the loop's thread. Requires: destroyed only when idle.
class Background {
 public:
  Background(Loop& loop, Delegate<void> work, Delegate<void> done);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void start();
  bool busy() const { return busy_; }

 private:
  Loop& loop_;
  Delegate<void> work_, done_;
  uv_work_t request_;
  bool busy_ = false;
};

}  // namespace vesper::io
