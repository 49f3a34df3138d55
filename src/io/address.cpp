#include "io/address.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace vesper::io {
namespace {

std::optional<Address> literal(const std::string& host, std::uint16_t port) {
  sockaddr_in v4{};
  if (uv_ip4_addr(host.c_str(), port, &v4) == 0)
    return Address(reinterpret_cast<const sockaddr*>(&v4));
  sockaddr_in6 v6{};
  if (uv_ip6_addr(host.c_str(), port, &v6) == 0)
    return Address(reinterpret_cast<const sockaddr*>(&v6));
  return std::nullopt;
}

addrinfo hints() {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  return wanted;
}

// RFC 1035 §2.3.4: labels of 1 to 63 bytes, 253 bytes in total. No resolver can know a name beyond
// that.
bool can_be_a_name(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > 253) return false;
  while (true) {
    const std::size_t dot = host.find('.');
    const std::size_t label = dot == host.npos ? host.size() : dot;
    if (label == 0 || label > 63) return false;
    if (dot == host.npos) return true;
    host.remove_prefix(dot + 1);
  }
}

Error not_resolved(const std::string& host, int status) {
  return {fmt::format("cannot resolve {}: {}", host, uv_strerror(status)),
          status == UV_EINVAL || status == UV_ENAMETOOLONG ? EINVAL : EAGAIN};
}

Result<std::vector<Address>> collect(const std::string& host, const addrinfo* found) {
  std::vector<Address> addresses;
  for (; found != nullptr; found = found->ai_next)
    if (found->ai_family == AF_INET || found->ai_family == AF_INET6)
      addresses.emplace_back(found->ai_addr);
  if (addresses.empty()) return Error{fmt::format("{} has no IP address", host), EAGAIN};
  return addresses;
}

}  // namespace

Address::Address(const sockaddr* address) {
  const std::size_t size =
      address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  std::memcpy(&storage_, address, size);
}

bool Address::is_loopback() const {
  if (storage_.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  if (storage_.ss_family != AF_INET6) return false;
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
  if (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) return true;
  return IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127;
}

bool Address::has_host_of(const Address& other) const {
  if (storage_.ss_family != other.storage_.ss_family) return false;
  if (storage_.ss_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(&other.storage_)->sin_addr.s_addr;
  if (storage_.ss_family != AF_INET6) return false;
  const auto* own = reinterpret_cast<const sockaddr_in6*>(&storage_);
  const auto* others = reinterpret_cast<const sockaddr_in6*>(&other.storage_);
  return IN6_ARE_ADDR_EQUAL(&own->sin6_addr, &others->sin6_addr) &&
         own->sin6_scope_id == others->sin6_scope_id;
}

std::uint16_t Address::port() const {
  if (is_v6()) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

std::string Address::to_string() const {
  char text[INET6_ADDRSTRLEN] = "?";
  if (is_v6()) {
    uv_ip6_name(reinterpret_cast<const sockaddr_in6*>(&storage_), text, sizeof text);
    return fmt::format("[{}]:{}", text, port());
  }
  uv_ip4_name(reinterpret_cast<const sockaddr_in*>(&storage_), text, sizeof text);
  return fmt::format("{}:{}", text, port());
}

struct Lookup::Request {
  uv_getaddrinfo_t raw;
  Loop& loop;
  Lookup* owner;
  std::string host;
  Delegate<void, Result<std::vector<Address>>> done;
};

void Lookup::start(const std::string& host, std::uint16_t port,
                   Delegate<void, Result<std::vector<Address>>> done) {
  cancel();
  if (const auto address = literal(host, port)) {
    done(std::vector<Address>{*address});
    return;
  }
  if (!can_be_a_name(host)) {
    done(Error{fmt::format("\"{}\" is not a host name; each label must have 1 to 63 bytes", host),
               EINVAL});
    return;
  }
  request_ = new Request{{}, loop_, this, host, done};
  ++loop_.lookups_;
  request_->raw.data = request_;
  const addrinfo wanted = hints();
  const std::string service = std::to_string(port);
  const uv_getaddrinfo_cb on_answer = [](uv_getaddrinfo_t* raw, int status, addrinfo* found) {
    std::unique_ptr<Request> request(static_cast<Request*>(raw->data));
    --request->loop.lookups_;
    if (request->owner != nullptr) {
      request->owner->request_ = nullptr;
      if (status == 0) request->done(collect(request->host, found));
      else request->done(not_resolved(request->host, status));
    }
    uv_freeaddrinfo(found);
  };
  const int status = uv_getaddrinfo(loop_.raw(), &request_->raw, on_answer, host.c_str(),
                                    service.c_str(), &wanted);
  if (status == 0) return;
  delete std::exchange(request_, nullptr);
  --loop_.lookups_;
  done(not_resolved(host, status));
}

void Lookup::cancel() {
  if (request_ == nullptr) return;
  request_->owner = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request_->raw));
  request_ = nullptr;
}

}  // namespace vesper::io
