// The event loop: polls, then runs one turn in one place, after everything that the poll brought.
// Nothing in here knows what a turn does.
#pragma once

#include <uv.h>

#include <memory>

#include "base/time.hpp"
#include "io/delegate.hpp"

namespace vesper::io {

// What the loop asks of its one owner.
struct TurnEvents {
  // Before the poll: does work wait already, so that the poll must not block?
  Delegate<bool> busy;
  // After the poll. `deadline_passed`: the deadline had passed before the poll, whose callbacks
  // have nevertheless run first: a process that was frozen reads its messages before it believes
  // its timers.
  Delegate<void, bool> turn;
  // After all that, behind a turn: how long the loop was busy since the poll returned. What waits
  // in the kernel meanwhile has waited that long.
  Delegate<void, Duration> turned;
  // SIGTERM, SIGINT or SIGHUP.
  Delegate<void, int> signal;
};

class Loop {
 public:
  Loop();
  // Every Stream, Timer and Listener of this loop has been destroyed before. Waits for what threads
  // of the pool are still at.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void set_events(TurnEvents events) { events_ = events; }
  // SIGHUP only if it was not ignored at the start, as it is under nohup.
  void watch_signals();

  // CLOCK_BOOTTIME, read now: monotonic, and it goes on while the machine is suspended, as the
  // leases of others do. Never the loop's cached time, which is older than the bytes just read.
  Instant now() const;

  // When turn(true) is due; kNever: not. Rounded up to whole milliseconds, so that it is never
  // early. Replaces the one before.
  void set_deadline(Instant deadline) { deadline_ = deadline; }

  void run();  // until stop(), which may have been called before
  void stop() { uv_stop(&loop_); }

  // Names that a thread of the pool still asks for, though their Lookup may be gone. Nothing can
  // cut that short: the resolver decides how long it takes.
  bool awaits_resolver() const { return lookups_ > 0; }

  uv_loop_t* raw() { return &loop_; }
  // Where reads land: one buffer for all streams of the loop, good until the callback returns.
  uv_buf_t read_buffer();

 private:
  friend class Lookup;
  static constexpr unsigned kReadBuffer = 128u << 10;

  void before_poll();
  void after_poll();
  void arm(Instant now);
  void awake();
  void measure(Instant now);

  uv_loop_t loop_;
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_idle_t idle_;    // active exactly when the poll must not block
  uv_timer_t timer_;  // wakes the poll at deadline_ or before
  uv_signal_t sigterm_, sigint_, sighup_;
  TurnEvents events_;
  Instant deadline_ = kNever;
  Instant armed_ = kNever;  // what timer_ is set to
  bool deadline_passed_ = false;
  unsigned lookups_ = 0;
  Instant awake_since_;  // Instant{}: not since the last poll
  std::unique_ptr<char[]> read_buffer_;
};

}  // namespace vesper::io
