// The peers' settings, fixed at startup, and the format of the HTTP refusals that they send.
// server::Server supplies both.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_port.hpp"
#include "base/time.hpp"
#include "raft/types.hpp"

namespace vesper::peer {

struct Settings {
  raft::ServerId self;
  raft::BootId boot;
  std::vector<HostPort> list;  // all servers; a server's id is its index
  Duration election_timeout;
  std::string key;        // shared by all servers; empty: no key
  bool insecure = false;  // without a key, also accept peers on other machines
};

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
  // Parses a refusal's body from a peer: its detail and, if present, its hint.
  virtual Refusal read_body(std::string_view body) = 0;

 protected:
  ~RefusalFormat() = default;
};

}  // namespace vesper::peer
