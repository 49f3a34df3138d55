// `vesper history KEY`.
#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"
#include "base/bytes.hpp"

namespace vesper::app {
namespace {

// A value is complete when tabs separate the columns.
Row row_of(const json::Value& version, OutputFormat format) {
  if (version.find("deleted").boolean().value_or(false))
    return {cell(version.find("revision")), "-", Cell("(deleted)", Style::dim)};
  const std::string value = bytes_of(version, "value").value_or("");
  return {cell(version.find("revision")), cell(version.find("version")),
          format == OutputFormat::raw ? Cell(escaped(value, value.size())) : Cell::of_bytes(value)};
}

}  // namespace

int run_history(const HistoryOptions& options) {
  const OutputFormat format = table_on_terminal(options.cluster);
  Call call;
  call.method = "GET";
  Query query("history");
  if (options.limit) query.add("limit", *options.limit);
  call.query = query.append(options.query).text();
  const Called called = call_kv(options.cluster, options.key, std::move(call));
  if (!called.outcome) return called.exit_code;
  const Outcome& outcome = *called.outcome;
  if (const int code = report(outcome, Access::read, format)) return code;
  if (format == OutputFormat::json) return print(outcome.reply.body);
  const auto document = parse_reply(outcome);
  if (!document) return kExitError;
  if (document->root().find("versions").kind() != json::Kind::array)
    return complain_of_shape(outcome, "versions");
  std::vector<Row> rows;
  for (const auto& version : document->root().find("versions"))
    rows.push_back(row_of(version.value, format));
  const int code =
      print(format == OutputFormat::raw ? make_tabbed(rows)
                                        : make_table({"REVISION", "VERSION", "VALUE"}, rows));
  if (!options.limit && document->root().find("more").boolean().value_or(false))
    note("there are older versions; --limit N shows up to 10000");
  return code;
}

}  // namespace vesper::app
