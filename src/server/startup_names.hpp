// The addresses that a server must know before it listens. A name that is not known yet (its record
// comes with the machine, the resolver is not up) is asked for again until it is; signals are
// honoured meanwhile.
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

  // `done` is called once all have addresses, or one can never have any; from within start() when
  // all are IP addresses.
  void start(std::vector<HostPort> wanted);
  void stop();

  // Of the names in their order; as many as wanted, unless there is an error.
  const std::vector<std::vector<io::Address>>& addresses() const { return addresses_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  void ask();
  void on_answer(Result<std::vector<io::Address>> answer);
  void on_timer();

  const io::Delegate<void> done_;
  io::Lookup lookup_;
  io::Timer timer_;  // the next attempt, or the patience of the one under way
  bool asking_ = false;
  std::vector<HostPort> wanted_;
  std::vector<std::vector<io::Address>> addresses_;
  std::optional<Error> error_;
  std::string last_logged_;
};

}  // namespace vesper::server
