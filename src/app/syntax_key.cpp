// The syntax of the commands about one key.
#include <charconv>

#include "app/command_list.hpp"
#include "app/query.hpp"

namespace vesper::app {
namespace {

void define_get(Syntax& syntax) {
  syntax.argument("KEY", Need::required);
  define_cluster(syntax);
  define_revision(syntax);
  define_read_level(syntax);
}

Options read_get(Arguments& arguments) {
  return GetOptions{arguments.cluster(), arguments.text("KEY"), arguments.read_options()};
}

void define_put(Syntax& syntax) {
  syntax.argument("KEY", Need::required);
  syntax.argument("VALUE", Need::optional);
  syntax.option("--file", "FILE", "take the value from a file");
  syntax.option("--ttl", "DURATION", "the key expires after this time: 500ms, 10s, 1h");
  syntax.option("--lease", "ID", "the key expires together with this lease");
  syntax.flag("--keep-ttl", "the key keeps its time to live or its lease");
  define_fence(syntax);
  define_cluster(syntax);
}

Options read_put(Arguments& arguments) {
  Query query;
  if (arguments.duration("--ttl")) query.add("ttl", arguments.text("--ttl"));
  if (const auto lease = arguments.number("--lease")) query.add("lease", *lease);
  if (arguments.has("--keep-ttl")) query.flag("keep_ttl");
  if (arguments.has("--ttl") + arguments.has("--lease") + arguments.has("--keep-ttl") > 1)
    arguments.fail("--ttl, --lease and --keep-ttl exclude each other");
  query.append(arguments.fence());
  return PutOptions{arguments.cluster(), arguments.text("KEY"), arguments.input(), query.text()};
}

void define_delete(Syntax& syntax) {
  syntax.argument("KEY", Need::optional);
  syntax.option("--prefix", "PREFIX", "delete every key that begins with this");
  syntax.flag("--all", "delete every key");
  define_fence(syntax);
  define_cluster(syntax);
}

Options read_delete(Arguments& arguments) {
  const int given =
      int{arguments.has("KEY")} + int{arguments.has("--prefix")} + int{arguments.has("--all")};
  if (given == 0) arguments.fail("KEY is missing (--prefix P deletes many keys, --all every key)");
  if (given > 1) arguments.fail("KEY, --prefix and --all exclude each other");
  if (arguments.has("KEY"))
    return DeleteOptions{arguments.cluster(), arguments.text("KEY"), arguments.fence()};
  // An unset variable in a script must not delete everything.
  if (arguments.has("--prefix") && arguments.text("--prefix").empty())
    arguments.fail("the prefix is empty (--all deletes every key)");
  return DeletePrefixOptions{arguments.cluster(), arguments.text("--prefix"), arguments.fence()};
}

void define_increment(Syntax& syntax) {
  syntax.argument("KEY", Need::required);
  syntax.argument("BY", Need::optional);
  define_fence(syntax);
  define_cluster(syntax);
}

Options read_increment(Arguments& arguments) {
  IncrementOptions increment{arguments.cluster(), arguments.text("KEY"), "1", arguments.fence()};
  if (!arguments.has("BY")) return increment;
  const std::string text = arguments.text("BY");
  std::int64_t by = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), by);
  if (error != std::errc() || std::to_string(by) != text)
    arguments.expected("BY", "a whole number of 64 bits");
  increment.by = text;
  return increment;
}

void define_append(Syntax& syntax) {
  syntax.argument("KEY", Need::required);
  syntax.argument("VALUE", Need::optional);
  syntax.option("--file", "FILE", "append the bytes of a file");
  define_fence(syntax);
  define_cluster(syntax);
}

Options read_append(Arguments& arguments) {
  return AppendOptions{arguments.cluster(), arguments.text("KEY"), arguments.input(),
                       arguments.fence()};
}

void define_history(Syntax& syntax) {
  syntax.argument("KEY", Need::required);
  syntax.option("--limit", "N", "show only the newest N versions");
  syntax.option("--restore", "N", "write again what the key held at this revision");
  define_cluster(syntax);
  define_read_level(syntax);
}

Options read_history(Arguments& arguments) {
  if (const auto revision = arguments.number("--restore")) {
    if (arguments.has("--limit") || !arguments.read_level().empty())
      arguments.fail("--restore writes: --limit and the read levels do not go with it");
    return RestoreOptions{arguments.cluster(), arguments.text("KEY"), *revision};
  }
  return HistoryOptions{arguments.cluster(), arguments.text("KEY"), arguments.number("--limit"),
                        arguments.read_level()};
}

constexpr Command kKeyCommands[] = {
    {"get", define_get, read_get},          {"put", define_put, read_put},
    {"delete", define_delete, read_delete}, {"increment", define_increment, read_increment},
    {"append", define_append, read_append}, {"history", define_history, read_history},
};

}  // namespace

std::span<const Command> key_commands() {
  return kKeyCommands;
}

}  // namespace vesper::app
