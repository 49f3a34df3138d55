#include "io/timer.hpp"

#include "base/assert.hpp"

namespace vesper::io {
namespace {

// Rounds up, so that a timer never fires early.
std::uint64_t whole_ms(Duration duration) {
  return duration.ns <= 0 ? 0 : (static_cast<std::uint64_t>(duration.ns) + 999'999) / 1'000'000;
}

}  // namespace

Timer::Timer(Loop& loop, Delegate<void> on_timer) : on_timer_(on_timer), handle_(new Handle) {
  handle_->owner = this;
  uv_timer_init(loop.raw(), &handle_->timer);
  handle_->timer.data = handle_;
}

Timer::~Timer() {
  handle_->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->timer),
           [](uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); });
}

void Timer::start(Duration first, Duration repeat) {
  // uv_timer_start() counts from the loop's cached time, so update it first.
  uv_update_time(handle_->timer.loop);
  uv_timer_start(
      &handle_->timer,
      [](uv_timer_t* timer) {
        Timer* owner = static_cast<Handle*>(timer->data)->owner;
        if (owner != nullptr) owner->on_timer_();
      },
      whole_ms(first), whole_ms(repeat));
}

void Timer::stop() {
  uv_timer_stop(&handle_->timer);
}

bool Timer::active() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&handle_->timer)) != 0;
}

Background::Background(Loop& loop, Delegate<void> work, Delegate<void> done)
    : loop_(loop), work_(work), done_(done) {
  request_.data = this;
}

Background::~Background() {
  VESPER_ASSERT(!busy_);
}

void Background::start() {
  VESPER_ASSERT(!busy_);
  busy_ = true;
  const int status = uv_queue_work(
      loop_.raw(), &request_,
      [](uv_work_t* request) { static_cast<Background*>(request->data)->work_(); },
      [](uv_work_t* request, int) {
        auto& background = *static_cast<Background*>(request->data);
        background.busy_ = false;
        background.done_();
      });
  VESPER_ASSERT(status == 0);
}

}  // namespace vesper::io
