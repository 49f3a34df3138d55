// Resolves the addresses that a server needs before it can listen. A name that cannot be resolved
// yet is retried until it can: its DNS record or the resolver may appear only after the server
// starts. Signals are handled meanwhile.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "io/address.hpp"
#include "io/timer.hpp"
#include "server/options.hpp"

namespace vesper::server {

class StartupNames {
 public:
  StartupNames(io::Loop& loop, io::Delegate<void> done);

  // Calls `done` once all names have addresses, or one can never have any. Calls it from within
  // start() if all of them are IP addresses.
  void start(std::vector<HostPort> wanted);
  void stop();

  // One entry per name, in order. Complete unless there is an error.
  const std::vector<std::vector<io::Address>>& addresses() const { return addresses_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  void ask();
  void on_answer(Result<std::vector<io::Address>> answer);
  void on_timer();

  const io::Delegate<void> done_;
  io::Lookup lookup_;
  io::Timer timer_;  // schedules the next attempt, or reports a slow one
  bool asking_ = false;
  std::vector<HostPort> wanted_;
  std::vector<std::vector<io::Address>> addresses_;
  std::optional<Error> error_;
  std::string last_logged_;
};

}  // namespace vesper::server
