// `vesper server`: from options to a running node.
#include "app/server_command.hpp"

#include "app/call.hpp"

namespace vesper::app {

int run_server(const ServerOptions&) {
  complain("the server is not built yet");
  return kExitError;
}

}  // namespace vesper::app
