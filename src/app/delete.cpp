// `vesper delete KEY`. Many keys are in delete_prefix.cpp.
#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {

int run_delete(const DeleteOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "DELETE";
  call.query = options.query;
  call.access = Access::write;
  const Called called = call_kv(options.cluster, options.key, std::move(call));
  if (!called.outcome) return called.exit_code;
  if (const int code = report(*called.outcome, Access::write, format)) return code;
  return print_reply(*called.outcome, format, {"deleted", "revision"}, "deleted", kTookEffect);
}

}  // namespace vesper::app
