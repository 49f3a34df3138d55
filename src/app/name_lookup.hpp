// Resolves a host name under the caller's deadline. getaddrinfo() blocks for as long as the
// resolver likes, so it runs in a child process that can be killed.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "app/piped_child.hpp"

namespace vesper::app {

class NameLookup {
 public:
  struct Address {
    socklen_t size = 0;
    sockaddr_storage storage{};
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  };

  // Finishes at once for an IP address. Call only once.
  void start(const std::string& host, std::uint16_t port);
  // Call on_readable() whenever this descriptor is readable. -1: finished.
  int fd() const { return child_.fd(); }
  void on_readable();
  void stop() { child_.stop(); }

  // Once finished: at least one address, or an error.
  const std::vector<Address>& addresses() const { return addresses_; }
  const std::string& error() const { return error_; }

 private:
  void take(int code, const std::string& records);

  PipedChild child_;
  std::string received_;  // the child's output: a getaddrinfo code, then addresses
  std::vector<Address> addresses_;
  std::string error_;
};

}  // namespace vesper::app
