// Socket addresses and asynchronous name lookup.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "io/delegate.hpp"
#include "io/loop.hpp"

namespace vesper::io {

class Address {
 public:
  Address() = default;
  explicit Address(const sockaddr* address);  // IPv4 or IPv6

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  bool is_known() const { return storage_.ss_family != AF_UNSPEC; }  // false: made without one
  bool is_v6() const { return storage_.ss_family == AF_INET6; }
  bool is_loopback() const;  // 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped into IPv6
  bool has_host_of(const Address& other) const;  // whatever the ports
  std::uint16_t port() const;
  std::string to_string() const;  // "127.0.0.1:5000", "[::1]:5000"

 private:
  sockaddr_storage storage_{};
};

// Resolves a name to at least one address without blocking. Destroying the lookup discards its
// result.
class Lookup {
 public:
  explicit Lookup(Loop& loop) : loop_(loop) {}
  ~Lookup() { cancel(); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // May call `done` from within start(), for example if `host` is an IP address. An error with code
  // EINVAL is final: no resolver can know this name. After any other error (EAGAIN), a later
  // attempt may succeed.
  void start(const std::string& host, std::uint16_t port,
             Delegate<void, Result<std::vector<Address>>> done);
  // `done` will not be called. A thread of the pool may still be resolving (Loop::awaits_resolver).
  void cancel();

 private:
  struct Request;
  Loop& loop_;
  Request* request_ = nullptr;  // owned by the thread pool while it runs
};

}  // namespace vesper::io
