#include "app/name_lookup.hpp"

#include <netdb.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vesper::app {
namespace {

constexpr std::size_t kMaxAddresses = 32;

// Returns a getaddrinfo code. Appends each address to `records` as the bytes of an Address.
int resolve(const std::string& host, std::uint16_t port, int flags, std::string& records) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) return code;
  std::size_t count = 0;
  for (const addrinfo* one = found; one != nullptr && count < kMaxAddresses; one = one->ai_next) {
    NameLookup::Address address;
    address.size = one->ai_addrlen;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    records.append(reinterpret_cast<const char*>(&address), sizeof address);
    ++count;
  }
  freeaddrinfo(found);
  return 0;
}

void resolve_in_child(const std::string& host, std::uint16_t port, int out) {
  std::string records;
  const int code = resolve(host, port, 0, records);
  records.insert(0, reinterpret_cast<const char*>(&code), sizeof code);
  // The data fits into the pipe, so it is written at once unless the reader is gone.
  [[maybe_unused]] const ssize_t wrote = write(out, records.data(), records.size());
}

}  // namespace

void NameLookup::start(const std::string& host, std::uint16_t port) {
  std::string records;
  if (resolve(host, port, AI_NUMERICHOST, records) == 0) return take(0, records);
  if (!child_.start([&](int out) { resolve_in_child(host, port, out); })) take(EAI_SYSTEM, {});
}

void NameLookup::on_readable() {
  char buffer[4096];
  const ssize_t got = read(child_.fd(), buffer, sizeof buffer);
  if (got > 0) received_.append(buffer, static_cast<std::size_t>(got));
  if (got > 0 || (got < 0 && errno == EINTR)) return;
  child_.stop();
  int code = EAI_FAIL;  // if the child was killed
  if (received_.size() >= sizeof code) std::memcpy(&code, received_.data(), sizeof code);
  take(code, received_.size() > sizeof code ? received_.substr(sizeof code) : std::string());
}

void NameLookup::take(int code, const std::string& records) {
  for (std::size_t at = 0; at + sizeof(Address) <= records.size(); at += sizeof(Address)) {
    Address& address = addresses_.emplace_back();
    std::memcpy(&address, records.data() + at, sizeof address);
  }
  if (code == EAI_SYSTEM) error_ = std::strerror(errno);
  else if (code != 0) error_ = gai_strerror(code);
  else if (addresses_.empty()) error_ = "the name has no address";
}

}  // namespace vesper::app
