// What the peers are told about this server when it starts, and what they need of it to speak HTTP
// to a peer that they refuse. The composition root supplies both.
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
  std::vector<HostPort> list;  // of all servers; the id of a server is its place
  Duration election_timeout;
  std::string key;        // shared by all servers; empty: no key
  bool insecure = false;  // without a key, peers on other machines are taken, too
};

// Why a dialler is not taken: the status of the answer, and its body's members.
struct Refusal {
  int status = 403;
  std::string_view code;  // static text
  std::string detail;
  std::string hint;
};

// The form of refusals is the public API's (docs/http-api.md), which this room does not know.
class RefusalFormat {
 public:
  // The fields that every response of this server carries, as text.
  virtual const std::string& standard_fields() = 0;
  virtual void append_body(std::string& out, const Refusal& refusal) = 0;
  // Of the body that a peer sent: a detail and, if there is one, a hint.
  virtual Refusal read_body(std::string_view body) = 0;

 protected:
  ~RefusalFormat() = default;
};

}  // namespace vesper::peer
