// `vesper delete KEY`. Many keys are in delete_prefix.cpp.
#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {

int run_delete(const DeleteOptions& options) {
  Call call;
  call.method = "DELETE";
  call.query = options.query;
  call.access = Access::write;
  return print_outcome(call_kv(options.cluster, options.key, std::move(call)), options.cluster,
                       Access::write, {"deleted", "revision"}, "deleted");
}

}  // namespace vesper::app
