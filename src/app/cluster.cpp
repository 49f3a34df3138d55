// The commands that change no key: `vesper cluster transfer [ID]` and `vesper compact REVISION`.
#include <fmt/core.h>

#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {

int run_cluster(const TransferOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "POST";
  call.path = "/cluster/transfer";
  if (options.to) call.query = fmt::format("to={}", *options.to);
  const Called called = call_endpoints(options.cluster, call);
  if (!called.outcome) return called.exit_code;
  if (const int code = report(*called.outcome, Access::read, format)) return code;
  return print_reply(*called.outcome, format, {"leader", "term"}, "leader");
}

int run_compact(const CompactOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "POST";
  call.path = "/compact";
  call.query = fmt::format("revision={}", options.revision);
  call.access = Access::write;
  call.idempotency_key = make_idempotency_key();
  const Called called = call_endpoints(options.cluster, call);
  if (!called.outcome) return called.exit_code;
  if (const int code = report(*called.outcome, Access::write, format)) return code;
  return print_reply(*called.outcome, format, {"oldest_revision"}, "oldest_revision", kTookEffect);
}

}  // namespace vesper::app
