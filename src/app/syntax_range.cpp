// The syntax of the commands about many keys.
#include <fmt/core.h>

#include "app/command_list.hpp"
#include "app/query.hpp"

namespace vesper::app {
namespace {

void define_list(Syntax& syntax) {
  syntax.argument("PREFIX", Need::optional);
  syntax.option("--start", "KEY", "the first key, in place of a prefix");
  syntax.option("--end", "KEY", "the key before which the list ends");
  syntax.option("--limit", "N", "print at most N keys; with -o json: one page of up to N keys");
  syntax.flag("--reverse", "last key first");
  syntax.option("--separator", "TEXT",
                "fold keys that go on after this text, as ls does with --separator /");
  syntax.flag("--keys", "leave the values out");
  syntax.flag("--count", "print only how many keys there are");
  syntax.flag("-z,--null", "raw: end each key with a NUL, for xargs -0");
  define_cluster(syntax);
  define_revision(syntax);
  define_read_level(syntax);
}

std::string read_range(Arguments& arguments) {
  Query range;
  if (arguments.has("PREFIX") && (arguments.has("--start") || arguments.has("--end")))
    arguments.fail("PREFIX excludes --start and --end");
  // An empty prefix, start or end stands for no bound.
  const auto add = [&](const char* name, const char* parameter) {
    const std::string text = arguments.text(name);
    if (!text.empty()) range.add(parameter, text);
  };
  add("PREFIX", "prefix");
  add("--start", "start");
  add("--end", "end");
  return range.text();
}

Options read_list(Arguments& arguments) {
  ListOptions list;
  list.cluster = arguments.cluster();
  list.range = read_range(arguments);
  list.query = arguments.read_options();
  if (arguments.has("--keys")) list.content = ListOptions::Content::keys;
  if (arguments.has("--count")) list.content = ListOptions::Content::count;
  list.limit = arguments.number("--limit");
  list.reverse = arguments.has("--reverse");
  list.ends_with_nul = arguments.has("--null");
  list.separator = arguments.optional_text("--separator");
  if (list.separator == "") arguments.fail("--separator is empty");
  if (list.content == ListOptions::Content::count &&
      (list.limit || list.separator || list.reverse || arguments.has("--keys")))
    arguments.fail("--count cannot be given with --limit, --separator, --reverse or --keys");
  if (list.limit.value_or(0) > ListOptions::kMaxPage && list.cluster.output == OutputFormat::json)
    arguments.fail(fmt::format(
        "--limit \"{}\": expected at most {} with -o json, which prints one page of that size",
        *list.limit, ListOptions::kMaxPage));
  if (list.ends_with_nul && list.cluster.output.value_or(OutputFormat::raw) != OutputFormat::raw)
    arguments.fail("--null goes with -o raw only");
  return list;
}

void define_txn(Syntax& syntax) {
  syntax.argument("FILE", Need::optional);
  define_fence(syntax);
  define_cluster(syntax);
}

Options read_txn(Arguments& arguments) {
  return TxnOptions{arguments.cluster(), arguments.optional_text("FILE").value_or("-"),
                    arguments.fence()};
}

void define_export(Syntax& syntax) {
  syntax.argument("PREFIX", Need::optional);
  define_cluster(syntax);
  define_revision(syntax);
}

Options read_export(Arguments& arguments) {
  ExportOptions options{arguments.cluster(), arguments.text("PREFIX"),
                        arguments.number("--revision")};
  if (options.cluster.output == OutputFormat::table)
    arguments.fail("export writes lines of JSON: -o table does not go with it");
  return options;
}

void define_import(Syntax& syntax) {
  syntax.argument("FILE", Need::required);
  syntax.option("--from-line", "N", "skip the lines before this one");
  define_cluster(syntax);
}

Options read_import(Arguments& arguments) {
  return ImportOptions{arguments.cluster(), arguments.text("FILE"),
                       arguments.number("--from-line").value_or(1)};
}

void define_compact(Syntax& syntax) {
  syntax.argument("REVISION", Need::required);
  define_cluster(syntax);
}

Options read_compact(Arguments& arguments) {
  return CompactOptions{arguments.cluster(), arguments.number("REVISION").value_or(0)};
}

constexpr Command kRangeCommands[] = {
    {"list", define_list, read_list},          {"txn", define_txn, read_txn},
    {"export", define_export, read_export},    {"import", define_import, read_import},
    {"compact", define_compact, read_compact},
};

}  // namespace

std::span<const Command> range_commands() {
  return kRangeCommands;
}

}  // namespace vesper::app
