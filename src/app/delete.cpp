// `vesper delete KEY`.
#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {

int run_delete(const DeleteOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "DELETE";
  call.access = Access::write;
  const auto outcome = call_kv(options.cluster, options.key, std::move(call));
  if (!outcome) return kExitUsage;
  if (const int code = report(*outcome, Access::write, format)) return code;
  return print_reply(*outcome, format, {"deleted", "revision"}, "deleted", kTookEffect);
}

}  // namespace vesper::app
