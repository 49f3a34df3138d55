// The peers' settings, fixed at startup, and the format of the HTTP refusals that they send.
// server::Server supplies both.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_port.hpp"
#include "base/time.hpp"
#include "crypto/tls.hpp"
#include "raft/types.hpp"

namespace vesper::peer {

struct Settings {
  HostPort address;  // at which this server's peers can reach it
  raft::BootId boot;
  std::vector<HostPort> list;  // the first servers; a server's id is its index. Empty: --join
  Duration election_timeout;
  std::string key;        // shared by all servers; empty: no key
  bool insecure = false;  // without a key, also accept peers on other machines
  // Dials peers over TLS. It may be replaced at any time, and is empty if there is nothing to
  // verify peers with.
  const crypto::TlsContext* dialler = nullptr;
  bool takes_plain = true;  // this server's port takes connections without TLS
};

// A start of a server: the number of starts of its data directory, and the id of its process.
struct SeenBoot {
  raft::Incarnation incarnation;  // 0: none was seen
  std::uint64_t number = 0;
  raft::BootId boot;

  bool operator==(const SeenBoot&) const = default;
};

// The latest start that this server has seen of each incarnation, on its disk. An older copy of a
// data directory is noticed by it (docs/raft.md, "A disk that goes back").
class BootMemory {
 public:
  virtual SeenBoot latest_of(raft::Incarnation incarnation) const = 0;
  // Of the incarnation that this server had when it was last seen.
  virtual SeenBoot latest_of(raft::ServerId server) const = 0;
  virtual void saw(raft::ServerId server, const SeenBoot& seen) = 0;
  // A peer has seen a later start of this server's own incarnation than the present one.
  virtual void went_back(raft::ServerId peer, const SeenBoot& seen) = 0;

 protected:
  ~BootMemory() = default;
};

// The code of a refusal that needs no operator: the dialler waits until it is a member.
inline constexpr std::string_view kNotAMember = "not_a_member";

// Why a dialler is refused: the status of the HTTP answer, and the members of its body.
struct Refusal {
  int status = 403;
  std::string_view code;  // static text
  std::string detail;
  std::string hint;
};

// Refusals have the format of the public API's errors (docs/http-api.md). This interface keeps
// peer/ independent of api/.
class RefusalFormat {
 public:
  // The header fields that every response of this server carries, serialized.
  virtual const std::string& standard_fields() = 0;
  virtual void append_body(std::string& out, const Refusal& refusal) = 0;
  // Parses a refusal's body from a peer: its detail and, if present, its hint. `code` is
  // kNotAMember or empty.
  virtual Refusal read_body(std::string_view body) = 0;
  // Takes note of a dialler that was refused. `from`: its address and port.
  virtual void report(const Refusal& refusal, const std::string& from) = 0;

 protected:
  ~RefusalFormat() = default;
};

}  // namespace vesper::peer
