// A timer for tasks that need no precision (sweeps, redials), and background work on another
// thread. For the node's deadline, see Loop::set_deadline().
#pragma once

#include "base/time.hpp"
#include "io/delegate.hpp"
#include "io/loop.hpp"

namespace vesper::io {

// May be destroyed or restarted from within its own callback.
class Timer {
 public:
  Timer(Loop& loop, Delegate<void> on_timer);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Fires after `first`, then every `repeat` (zero: only once). Replaces the previous setting.
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

// Runs one task at a time on a thread of the pool. `work` runs on that thread and must not share
// data with the loop's thread meanwhile. `done` is called on the loop's thread. Destroy it only
// while not busy.
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
