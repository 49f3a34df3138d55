// `vesper get KEY`.
#include <unistd.h>

#include <string>

#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {

int run_get(const GetOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "GET";
  std::string query = options.query;
  if (format == OutputFormat::raw) query += query.empty() ? "raw" : "&raw";
  call.query = query;
  const auto outcome = call_kv(options.cluster, options.key, std::move(call));
  if (!outcome) return kExitUsage;
  if (const int code = report(*outcome, Access::read, format)) return code;
  if (format != OutputFormat::raw)
    return print_reply(*outcome, format, {"key", "value", "revision", "version"}, "revision");
  if (const int code = print(outcome->reply.body)) return code;
  // On a terminal, a newline keeps the prompt off the value's line. In a file, it would corrupt the
  // value.
  return isatty(STDOUT_FILENO) == 1 ? print("\n") : kExitOk;
}

}  // namespace vesper::app
