// `vesper cluster transfer [ID]`.
#include <fmt/core.h>

#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {

int run_cluster(const TransferOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "POST";
  call.path = "/cluster/transfer";
  const std::string to = options.to ? fmt::format("to={}", *options.to) : std::string();
  call.query = to;
  const auto outcome = call_endpoints(options.cluster, call);
  if (!outcome) return kExitUsage;
  if (const int code = report(*outcome, Access::read, format)) return code;
  return print_reply(*outcome, format, {"leader", "term"}, "leader");
}

}  // namespace vesper::app
