// `vesper server`: turns the command-line options into server::Options and runs the server.
#pragma once

#include "app/options.hpp"

namespace vesper::app {

// Returns the exit code once the server has stopped: 0 after SIGTERM, SIGINT or SIGHUP, 2 bad usage
// or list, 10 address in use or not ours, 11 data directory refused, 12 storage failed.
int run_server(const ServerOptions& options);

}  // namespace vesper::app
