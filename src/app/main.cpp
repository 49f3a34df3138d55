// main(): parses the command line and dispatches to a command.
#include "app/commands.hpp"
#include "app/server_command.hpp"
#include "app/stdio.hpp"

namespace {

using namespace vesper::app;

struct Run {
  int operator()(const ExitNow& exit) const { return exit.code; }
  int operator()(const ServerOptions& options) const { return run_server(options); }
  int operator()(const ClientOptions& options) const { return run_client(options); }
  int operator()(const GetOptions& options) const { return run_get(options); }
  int operator()(const PutOptions& options) const { return run_put(options); }
  int operator()(const DeleteOptions& options) const { return run_delete(options); }
  int operator()(const StatusOptions& options) const { return run_status(options); }
  int operator()(const TransferOptions& options) const { return run_cluster(options); }
};

}  // namespace

int main(int argc, char** argv) {
  prepare_standard_descriptors();
  return std::visit(Run(), parse_options(argc, argv));
}
