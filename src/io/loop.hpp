// The event loop: polls, runs the callbacks of the poll, then runs one turn. What a turn does is up
// to the owner (server/server.cpp).
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/time.hpp"
#include "crypto/tls.hpp"
#include "io/delegate.hpp"

namespace vesper::io {

// Whether the loop's deadline had passed before the poll of this turn.
enum class Deadline : std::uint8_t { pending, passed };

// The callbacks to the loop's owner.
struct TurnEvents {
  // Called before the poll. Returns true if work is waiting, so that the poll must not block.
  Delegate<bool> busy;
  // Called after the poll and its callbacks. A process that was frozen thus reads its messages
  // before it acts on its timers.
  Delegate<void, Deadline> turn;
  // Called after a turn with the time that the loop was busy since the poll returned. Data in the
  // kernel may have waited that long.
  Delegate<void, Duration> turned;
  // Called for SIGTERM, SIGINT or SIGHUP.
  Delegate<void, int> signal;
};

class Loop {
 public:
  Loop();
  // Requires that every Stream, Timer and Listener of this loop was destroyed. Waits for the work
  // that threads of the pool still do.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void set_events(TurnEvents events) { events_ = events; }
  void watch_signals();

  // Reads CLOCK_BOOTTIME: monotonic, and it continues while the machine is suspended, like the
  // leases that other servers hold. Not the loop's cached time, which may be older than the bytes
  // just read.
  Instant now() const;

  // When turn(Deadline::passed) is due; kNever: never. Rounded up to whole milliseconds, so that it
  // is never early. Replaces the previous deadline.
  void set_deadline(Instant deadline) { deadline_ = deadline; }

  void run();  // until stop(), which may already have been called
  void stop() { uv_stop(&loop_); }

  // True while a thread of the pool resolves a name, even if its Lookup is gone. Only the resolver
  // decides how long that takes; it cannot be cancelled.
  bool awaits_resolver() const { return lookups_ > 0; }

  uv_loop_t* raw() { return &loop_; }
  // The read buffer, shared by all streams of the loop. Its content is valid until the read
  // callback returns.
  uv_buf_t read_buffer();
  // For the plain text of what read_buffer() holds. The same rules apply.
  std::span<char> plain_buffer();

 private:
  friend class Lookup;
  static constexpr unsigned kReadBuffer = 128u << 10;
  // A session may hold a part of a record from before.
  static constexpr std::size_t kPlainBuffer = kReadBuffer + crypto::TlsSession::kMaxRecord;

  void before_poll();
  void after_poll();
  void arm(Instant now);
  void awake();
  void measure(Instant now);

  uv_loop_t loop_;
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_idle_t idle_;    // active if and only if the poll must not block
  uv_timer_t timer_;  // wakes the poll at deadline_ or earlier
  uv_signal_t sigterm_, sigint_, sighup_;
  TurnEvents events_;
  Instant deadline_ = kNever;
  Instant armed_ = kNever;  // when timer_ fires
  Deadline deadline_state_ = Deadline::pending;
  unsigned lookups_ = 0;
  Instant awake_since_;  // Instant{}: not awake since the last poll
  std::unique_ptr<char[]> read_buffer_;
  std::unique_ptr<char[]> plain_buffer_;  // made when it is first used
};

}  // namespace vesper::io
