// Startup checks that keep strangers from a server that other machines can reach: from its data,
// and from what --chaos lets clients do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/address.hpp"
#include "server/options.hpp"

namespace vesper::server {

// True if only tokens keep strangers from this server's data: other machines can reach it over TLS,
// and clients need no certificate. `listen`: the addresses that it listens on.
bool needs_tokens(const Options& options, const std::vector<io::Address>& listen);

// Returns why this server must not start, or nothing if no stranger gets at its data. `listen`: the
// addresses it would listen on.
std::optional<std::string> refuse_open_clients(const Options& options,
                                               const std::vector<io::Address>& listen);

// Returns why this server must not start with --chaos, or nothing. `own`: the addresses at which
// the others reach it, which may be those of a proxy.
std::optional<std::string> refuse_open_chaos(const std::vector<io::Address>& listen,
                                             const std::vector<io::Address>& own);

}  // namespace vesper::server
