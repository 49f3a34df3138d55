// `vesper server`: from options to a running node.
#pragma once

#include "app/options.hpp"

namespace vesper::app {

// Returns when the node has stopped, with the exit code: 0 after SIGTERM or SIGINT, 2 bad list, 10
// address in use or not ours, 11 data directory refused, 12 storage failed, 13 removed.
int run_server(const ServerOptions& options);

}  // namespace vesper::app
