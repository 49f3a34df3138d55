// `vesper get KEY`.
#include <unistd.h>

#include <string>

#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"

namespace vesper::app {

int run_get(const GetOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "GET";
  Query query(options.query);
  if (format == OutputFormat::raw) query.flag("raw");
  call.query = query.text();
  const Called called = call_kv(options.cluster, options.key, std::move(call));
  if (!called.outcome) return called.exit_code;
  const Outcome& outcome = *called.outcome;
  if (const int code = report(outcome, Access::read, format)) return code;
  if (format != OutputFormat::raw)
    return print_reply(outcome, format, {"key", "value", "revision", "version"}, "revision");
  if (const int code = print(outcome.reply.body)) return code;
  // On a terminal, a newline keeps the prompt off the value's line. In a file, it would corrupt the
  // value.
  return is_terminal(STDOUT_FILENO) ? print("\n") : kExitOk;
}

}  // namespace vesper::app
