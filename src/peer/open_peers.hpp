// Keeps strangers away from the peers' port of a server that has no key.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/address.hpp"
#include "peer/settings.hpp"

namespace vesper::peer {

// Without a key, every address of the list and every one that this server listens on must be
// loopback.
bool needs_loopback(const Settings& settings);
// Why this server must not start. Nothing: no stranger can reach the peers' port. `listen` are the
// addresses that it would listen on, `listed` those of the list, in its order. Requires
// needs_loopback().
std::optional<std::string> refuse_open_peers(const Settings& settings,
                                             const std::vector<io::Address>& listen,
                                             std::span<const std::vector<io::Address>> listed);

}  // namespace vesper::peer
