// `vesper server`: turns the command-line options into server::Options and runs the server.
#pragma once

#include <cstdint>

#include "app/options.hpp"

namespace vesper::app {

// Returns the exit code once the server has stopped: 0 after SIGTERM or SIGINT, 2 bad usage or
// list, 10 address in use or not ours, 11 data directory refused, 12 storage failed, 13 removed
// from the cluster.
int run_server(const ServerOptions& options);

// Lowers the feature level that this program announces. Only the program for tests of upgrades
// calls it.
void lower_feature_level(std::uint32_t level);

}  // namespace vesper::app
