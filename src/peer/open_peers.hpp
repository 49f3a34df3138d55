// May strangers reach the peers' port of a server that has no key?
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/address.hpp"
#include "peer/settings.hpp"

namespace vesper::peer {

// Without a key, every address of the list and where this server listens must be loopback.
bool needs_loopback(const Settings& settings);
// Why this server must not start, if strangers could reach the peers' port. `listen`: where it
// would listen; `listed`: the addresses of the list, in its order. Requires needs_loopback().
std::optional<std::string> refuse_open_peers(const Settings& settings,
                                             const std::vector<io::Address>& listen,
                                             std::span<const std::vector<io::Address>> listed);

}  // namespace vesper::peer
