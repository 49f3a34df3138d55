// `vesper txn [FILE]`.
#include <fmt/core.h>

#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {
namespace {

Cell bytes_cell(const json::Value& result, std::string_view name) {
  const auto bytes = bytes_of(result, name);
  return bytes ? Cell::of_bytes(*bytes) : cell(result.find(name));
}

// One row for each result and, below it, one for each key or nested result that it holds.
void append_rows(const json::Value& results, const std::string& above, std::vector<Row>& rows) {
  std::size_t at = 0;
  for (const auto& element : results) {
    const json::Value& result = element.value;
    const std::string number = fmt::format("{}{}", above, at++);
    json::Value count = result.find("deleted");
    if (!count.exists()) count = result.find("count");
    rows.push_back({number, bytes_cell(result, "key"), cell(result.find("revision")),
                    cell(result.find("version")), cell(count), bytes_cell(result, "value")});
    append_rows(result.find("kvs"), number + ".", rows);
    append_rows(result.find("results"), number + ".", rows);
  }
}

int print_transaction(const Outcome& outcome, OutputFormat format) {
  const auto document = parse_reply(outcome);
  if (!document) return kExitError;
  const auto succeeded = document->root().find("succeeded").boolean();
  if (!succeeded) return complain_of_shape(outcome, "succeeded");
  const int code = *succeeded ? kExitOk : kExitPrecondition;
  if (format != OutputFormat::table) return print(outcome.reply.body, code, kTookEffect);
  std::vector<Row> rows;
  append_rows(document->root().find("results"), "", rows);
  const std::string head = fmt::format("{} ran at revision {}\n", *succeeded ? "then" : "else",
                                       cell(document->root().find("revision")).text);
  return print(head + make_table({"RESULT", "KEY", "REVISION", "VERSION", "COUNT", "VALUE"}, rows),
               code, kTookEffect);
}

}  // namespace

int run_txn(const TxnOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "POST";
  call.path = "/txn";
  call.query = options.query;
  call.access = Access::write;
  call.idempotency_key = make_idempotency_key();
  InputOptions input;
  (options.file == "-" ? input.text : input.file) = options.file;
  if (const int code = load_body(options.cluster, input, call)) return code;
  const Called called = call_endpoints(options.cluster, call);
  if (!called.outcome) return called.exit_code;
  const Outcome& outcome = *called.outcome;
  if (const int code = report(outcome, Access::write, format)) return code;
  return print_transaction(outcome, format);
}

}  // namespace vesper::app
