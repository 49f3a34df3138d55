// Resolves a host name under the caller's deadline. getaddrinfo() blocks for as long as the
// resolver likes, so it runs in a child process that can be killed.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace vesper::app {

class NameLookup {
 public:
  struct Address {
    socklen_t size = 0;
    sockaddr_storage storage{};
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  };

  NameLookup() = default;
  ~NameLookup() { stop(); }
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // Finishes at once for an IP address. Call only once.
  void start(const std::string& host, std::uint16_t port);
  // Call on_readable() whenever this descriptor is readable. -1: finished.
  int fd() const { return fd_; }
  void on_readable();
  void stop();

  // Once finished: at least one address, or an error.
  const std::vector<Address>& addresses() const { return addresses_; }
  const std::string& error() const { return error_; }

 private:
  void take(int code, const std::string& records);

  pid_t child_ = -1;
  int fd_ = -1;
  std::string received_;  // the child's output: a getaddrinfo code, then addresses
  std::vector<Address> addresses_;
  std::string error_;
};

}  // namespace vesper::app
