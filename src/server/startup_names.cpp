#include "server/startup_names.hpp"

#include <cerrno>
#include <utility>

#include "base/log.hpp"

namespace vesper::server {
namespace {

constexpr Duration kRetry = seconds(1);
// A lookup that takes longer than this is logged once and continues.
constexpr Duration kPatience = seconds(1);

}  // namespace

StartupNames::StartupNames(io::Loop& loop, io::Delegate<void> done)
    : done_(done),
      lookup_(loop),
      timer_(loop, io::Delegate<void>::to<&StartupNames::on_timer>(this)) {}

void StartupNames::start(std::vector<HostPort> wanted) {
  wanted_ = std::move(wanted);
  ask();
}

void StartupNames::stop() {
  lookup_.cancel();
  timer_.stop();
}

void StartupNames::ask() {
  if (addresses_.size() == wanted_.size()) return done_();
  asking_ = true;
  timer_.start(kPatience);
  const HostPort& next = wanted_[addresses_.size()];
  lookup_.start(
      next.host, next.port,
      io::Delegate<void, Result<std::vector<io::Address>>>::to<&StartupNames::on_answer>(this));
}

void StartupNames::on_answer(Result<std::vector<io::Address>> answer) {
  asking_ = false;
  timer_.stop();
  if (answer) {
    if (!std::exchange(last_logged_, {}).empty())
      log::info("{} has an address now -> continuing", wanted_[addresses_.size()].host);
    addresses_.push_back(std::move(answer).value());
    return ask();
  }
  if (answer.error().code == EINVAL) {
    error_ = answer.error();
    return done_();
  }
  if (answer.error().what != last_logged_)
    log::warn("{} -> retrying every {} ms", answer.error().what, kRetry.ms());
  last_logged_ = answer.error().what;
  timer_.start(kRetry);
}

void StartupNames::on_timer() {
  if (!asking_) return ask();
  last_logged_ = "no answer";
  log::warn("the resolver has not answered for {} yet -> waiting", wanted_[addresses_.size()].host);
}

}  // namespace vesper::server
