#include "io/loop.hpp"

#include <csignal>
#include <ctime>
#include <utility>

#include "base/assert.hpp"

namespace vesper::io {
namespace {

Loop& self(void* data) {
  return *static_cast<Loop*>(data);
}

}  // namespace

Loop::Loop() : read_buffer_(new char[kReadBuffer]) {
  VESPER_ASSERT(uv_loop_init(&loop_) == 0);
  uv_prepare_init(&loop_, &prepare_);
  uv_check_init(&loop_, &check_);
  uv_idle_init(&loop_, &idle_);
  uv_timer_init(&loop_, &timer_);
  uv_signal_init(&loop_, &sigterm_);
  uv_signal_init(&loop_, &sigint_);
  uv_signal_init(&loop_, &sighup_);
  prepare_.data = check_.data = timer_.data = this;
  sigterm_.data = sigint_.data = sighup_.data = this;
  uv_prepare_start(&prepare_, [](uv_prepare_t* handle) { self(handle->data).before_poll(); });
  uv_check_start(&check_, [](uv_check_t* handle) { self(handle->data).after_poll(); });
}

Loop::~Loop() {
  for (uv_handle_t* handle :
       {reinterpret_cast<uv_handle_t*>(&prepare_), reinterpret_cast<uv_handle_t*>(&check_),
        reinterpret_cast<uv_handle_t*>(&idle_), reinterpret_cast<uv_handle_t*>(&timer_),
        reinterpret_cast<uv_handle_t*>(&sigterm_), reinterpret_cast<uv_handle_t*>(&sigint_),
        reinterpret_cast<uv_handle_t*>(&sighup_)})
    uv_close(handle, nullptr);
  // Also runs the close callbacks of streams that were destroyed earlier, and waits for the thread
  // pool's remaining work.
  uv_run(&loop_, UV_RUN_DEFAULT);
  VESPER_ASSERT(uv_loop_close(&loop_) == 0);
}

void Loop::watch_signals() {
  const uv_signal_cb on_signal = [](uv_signal_t* handle, int number) {
    Loop& loop = self(handle->data);
    if (loop.events_.signal) loop.events_.signal(number);
  };
  uv_signal_start(&sigterm_, on_signal, SIGTERM);
  uv_signal_start(&sigint_, on_signal, SIGINT);
  uv_signal_start(&sighup_, on_signal, SIGHUP);
}

Instant Loop::now() const {
  timespec time{};
  VESPER_ASSERT(clock_gettime(CLOCK_BOOTTIME, &time) == 0);
  return Instant{static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec};
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::before_poll() {
  const Instant at = now();
  measure(at);
  if (at >= deadline_) deadline_state_ = Deadline::passed;
  if (deadline_state_ == Deadline::passed || (events_.busy && events_.busy())) {
    uv_idle_start(&idle_, [](uv_idle_t*) {});
    return;
  }
  uv_idle_stop(&idle_);
  arm(at);
}

uv_buf_t Loop::read_buffer() {
  awake();
  return uv_buf_init(read_buffer_.get(), kReadBuffer);
}

std::span<char> Loop::plain_buffer() {
  if (plain_buffer_ == nullptr) plain_buffer_.reset(new char[kPlainBuffer]);
  return {plain_buffer_.get(), kPlainBuffer};
}

// Records when the loop woke up. libuv could measure its polling time, but would then poll twice.
// Everything that takes long begins with a read or in turn(), so read_buffer() and after_poll()
// call this.
void Loop::awake() {
  if (awake_since_ == Instant{}) awake_since_ = now();
}

void Loop::measure(Instant at) {
  if (awake_since_ != Instant{} && events_.turned) events_.turned(at - awake_since_);
  awake_since_ = Instant{};
}

// The timer only wakes the poll. It is set again if it would fire too late, or so early that the
// extra wake-up would cost more than setting it.
void Loop::arm(Instant at) {
  if (armed_ != kNever && armed_ <= at) armed_ = kNever;  // the timer has fired
  if (deadline_ == kNever) return;
  if (armed_ <= deadline_ && deadline_ - armed_ < milliseconds(5)) return;
  // libuv's timers use CLOCK_MONOTONIC, so convert the remaining time, not the instant.
  const std::int64_t due = static_cast<std::int64_t>(uv_hrtime()) + (deadline_ - at).ns;
  const std::int64_t due_ms = due / 1'000'000 + 1;
  const std::int64_t wait_ms = due_ms - static_cast<std::int64_t>(uv_now(&loop_));
  uv_timer_start(
      &timer_, [](uv_timer_t*) {}, wait_ms > 0 ? static_cast<std::uint64_t>(wait_ms) : 0, 0);
  armed_ = deadline_;
}

void Loop::after_poll() {
  awake();
  const Deadline state = std::exchange(deadline_state_, Deadline::pending);
  if (state == Deadline::passed) deadline_ = kNever;
  if (events_.turn) events_.turn(state);
}

}  // namespace vesper::io
