// Socket addresses: from text, from names, and what kind they are.
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
  bool is_v6() const { return storage_.ss_family == AF_INET6; }
  bool is_loopback() const;  // 127.0.0.0/8, ::1, and the former mapped into IPv6
  std::uint16_t port() const;
  std::string to_string() const;  // "127.0.0.1:5000", "[::1]:5000"

 private:
  sockaddr_storage storage_{};
};

// The addresses of a name, at least one, without blocking. Destroying it drops the answer.
class Lookup {
 public:
  explicit Lookup(Loop& loop) : loop_(loop) {}
  ~Lookup() { cancel(); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // `done` may be called from within start(), for one when `host` is an IP address. An error with
  // code EINVAL is final: no resolver will ever know this name. After any other (EAGAIN), it may
  // later.
  void start(const std::string& host, std::uint16_t port,
             Delegate<void, Result<std::vector<Address>>> done);
  // No call of `done`. A thread of the pool may still be at it (Loop::awaits_resolver).
  void cancel();

 private:
  struct Request;
  Loop& loop_;
  Request* request_ = nullptr;  // owned by the thread pool while it runs
};

}  // namespace vesper::io
