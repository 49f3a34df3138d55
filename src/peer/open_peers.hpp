// Startup check that keeps strangers from the peer port of a server without a key. peers.cpp also
// checks the address of each dialler.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/address.hpp"
#include "peer/settings.hpp"

namespace vesper::peer {

// True if the server has no key, no --insecure-peers, no TLS for all of them, and expects peers:
// its list names other servers, or it joins a cluster. Every address in the list and every address
// that this server listens on must then be loopback.
bool needs_loopback(const Settings& settings);
// Returns why this server must not start, or nothing if no stranger can reach its peer port.
// `listen`: the addresses it would listen on. `listed`: the addresses of each server in the list,
// in order. Requires needs_loopback().
std::optional<std::string> refuse_open_peers(const Settings& settings,
                                             const std::vector<io::Address>& listen,
                                             std::span<const std::vector<io::Address>> listed);

}  // namespace vesper::peer
