// The addresses of a host under a deadline of the caller's. getaddrinfo() takes as long as the
// resolver likes, so that a name is asked for in a child process, which can be ended.
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

  // An IP address is finished at once. To be called once.
  void start(const std::string& host, std::uint16_t port);
  // Call on_readable() whenever this can be read; -1: finished.
  int fd() const { return fd_; }
  void on_readable();
  void stop();

  // When finished: at least one address, or why there is none.
  const std::vector<Address>& addresses() const { return addresses_; }
  const std::string& error() const { return error_; }

 private:
  void take(int code, const std::string& records);

  pid_t child_ = -1;
  int fd_ = -1;
  std::string received_;  // what the child wrote: a code of getaddrinfo, then addresses
  std::vector<Address> addresses_;
  std::string error_;
};

}  // namespace vesper::app
