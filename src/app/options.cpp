// Defines the commands and flags for CLI11, and turns its results into Options.
#include "app/options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "app/call.hpp"
#include "app/help.hpp"
#include "base/bytes.hpp"
#include "http/values.hpp"

namespace vesper::app {
namespace {

constexpr std::array<std::string_view, 7> kCommands = {"server", "client", "get",    "put",
                                                       "delete", "status", "cluster"};

// The arguments of all commands, as text. Each run of CLI11 fills one.
struct Raw {
  std::string endpoints;
  std::string timeout;
  std::string output;
  bool json = false;
  std::string key;
  std::string action;  // of `cluster`
  std::string value;
  std::string file;
  std::string consistency, max_staleness, min_revision;  // of `get`
  std::string address;
  ServerOptions server;
  std::string id;
  std::string data_dir;
  std::string listen;
  std::string peer_key_file;
  std::array<std::string, 15> settings;  // of `server`, in the order of kSettings
};

// A limit or timeout of `server`. Exactly one of the two member pointers is set.
struct Setting {
  const char* flag;
  const char* help;
  std::optional<std::uint64_t> ServerOptions::*number;
  std::optional<Duration> ServerOptions::*duration;
};
constexpr Setting kSettings[] = {
    {"--max-connections", "most client connections (default 10000)",
     &ServerOptions::max_connections, nullptr},
    {"--max-value", "most bytes of a value (default 8388608, the upper limit)",
     &ServerOptions::max_value, nullptr},
    {"--max-inflight", "most bytes of writes in flight (default 67108864)",
     &ServerOptions::max_inflight, nullptr},
    {"--snapshot-bytes",
     "take a snapshot each time the log passes a multiple of this (default 67108864)",
     &ServerOptions::snapshot_bytes, nullptr},
    {"--snapshot-entries", "the same, in entries (default 1000000)",
     &ServerOptions::snapshot_entries, nullptr},
    {"--log-tail-bytes", "bytes of log kept in memory when a snapshot cuts it (default 16777216)",
     &ServerOptions::log_tail_bytes, nullptr},
    {"--log-tail-entries", "the same, in entries (default 10000)", &ServerOptions::log_tail_entries,
     nullptr},
    {"--request-timeout", "for a request without ?timeout= (default 5s)", nullptr,
     &ServerOptions::request_timeout},
    {"--header-timeout", "for the head of a request to arrive (default 10s)", nullptr,
     &ServerOptions::header_timeout},
    {"--body-timeout", "for the next part of a body to arrive (default 30s)", nullptr,
     &ServerOptions::body_timeout},
    {"--idle-timeout", "for the next request of a connection to arrive (default 120s)", nullptr,
     &ServerOptions::idle_timeout},
    {"--election-timeout",
     "lower bound of a random timeout; upper bound: twice this (default 150ms)", nullptr,
     &ServerOptions::election_timeout},
    {"--heartbeat", "interval between a leader's heartbeats (default 50ms)", nullptr,
     &ServerOptions::heartbeat},
    {"--max-lease",
     "longest lease of this node as leader (default 100ms, the upper limit; 0: none)", nullptr,
     &ServerOptions::max_lease},
    {"--found-after",
     "how long a majority waits for the others before it founds a cluster (default 5s)", nullptr,
     &ServerOptions::found_after},
};

static_assert(std::size(kSettings) == std::tuple_size_v<decltype(Raw::settings)>);

class Help : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    const std::string& command = app->get_name();
    std::string out(examples_of(command));
    out += fmt::format("\nUsage: vesper {} [flags]", command);
    for (const CLI::Option* option : app->get_options())
      if (option->get_positional())
        out += option->get_required() ? " " + option->get_name(true)
                                      : " [" + option->get_name(true) + "]";
    out += "\n\nFlags:\n";
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_positional()) continue;
      std::string name = option->get_name(false, true);
      if (!option->get_type_name().empty()) name += " " + option->get_type_name();
      out += fmt::format("  {:<28}{}\n", name, option->get_description());
    }
    return out;
  }
};

void define_timeout(CLI::App& app, Raw& raw, std::string_view otherwise = "5s") {
  app.add_option("--timeout", raw.timeout,
                 fmt::format("how long to try: 500ms, 5s, 1m (default {})", otherwise))
      ->type_name("DURATION");
}

void define_cluster(CLI::App& app, Raw& raw, std::string_view timeout) {
  app.add_option("--endpoints", raw.endpoints, "comma-separated addresses, tried in this order")
      ->type_name("URL,URL");
  define_timeout(app, raw, timeout);
  app.add_option("-o,--output", raw.output, "raw, table or json (the server's reply, unchanged)")
      ->type_name("FORMAT");
}

void define_read_level(CLI::App& app, Raw& raw) {
  app.add_option("--consistency", raw.consistency, "linearizable (default), lease or stale")
      ->type_name("LEVEL");
  app.add_option("--max-staleness", raw.max_staleness, "how old a stale read may be: 200ms, 1s")
      ->type_name("DURATION");
  app.add_option("--min-revision", raw.min_revision, "wait until the node has applied revision N")
      ->type_name("N");
}

void define_server(CLI::App& app, Raw& raw) {
  ServerOptions& server = raw.server;
  app.add_option("<id>", raw.id)->required();
  app.add_option("<ip-list-file>", server.list_file)->required();
  app.add_option("--data-dir", raw.data_dir, "default: vesper-data/<id> beside the list")
      ->type_name("DIR");
  app.add_option("--listen", raw.listen,
                 "default: host and port of the node's own line in the list")
      ->type_name("HOST:PORT");
  app.add_option("--allow-host", server.allow_hosts,
                 "accept this Host from browsers; * accepts any")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--peer-key-file", raw.peer_key_file, "holds a secret that all nodes share")
      ->type_name("FILE");
  app.add_flag("--insecure-peers", server.insecure_peers,
               "connect to nodes at addresses other than loopback without a key");
  app.add_option("--log-level", server.log_level, "debug, info, warn or error (default info)")
      ->type_name("LEVEL");
  for (std::size_t i = 0; i < std::size(kSettings); ++i)
    app.add_option(kSettings[i].flag, raw.settings[i], kSettings[i].help)
        ->type_name(kSettings[i].number != nullptr ? "N" : "DURATION");
}

void define(CLI::App& app, std::string_view command, Raw& raw) {
  app.name(std::string(command));
  app.formatter(std::make_shared<Help>());
  app.set_help_flag("-h,--help", "print this help");
  if (command == "server") return define_server(app, raw);
  if (command == "client") {
    app.add_option("<address>", raw.address)->required();
    app.add_option("<key>", raw.key)->required();
    app.add_option("<value>", raw.value);
    return define_timeout(app, raw);
  }
  if (command == "cluster") {
    app.add_option("ACTION", raw.action)->required();
    app.add_option("ID", raw.id);
  } else if (command != "status") {
    app.add_option("KEY", raw.key)->required();
  }
  if (command == "put") app.add_option("VALUE", raw.value, "");
  define_cluster(app, raw, command == "status" ? "1s per node" : "5s");
  if (command == "get") define_read_level(app, raw);
  if (command == "put")
    app.add_option("--file", raw.file, "read the value from this file")->type_name("FILE");
  if (command == "status") app.add_flag("--json", raw.json, "the same as -o json");
}

int usage_error(std::string_view what, std::string_view command) {
  complain(what);
  hint(fmt::format("see vesper {}{}--help", command, command.empty() ? "" : " "));
  return kExitUsage;
}

// True if some command has a flag of this name that takes a value.
bool takes_value(std::string_view flag) {
  for (const std::string_view command : kCommands) {
    CLI::App app;
    Raw raw;
    define(app, command, raw);
    const CLI::Option* option = app.get_option_no_throw(std::string(flag));
    if (option != nullptr && option->get_expected_min() > 0) return true;
  }
  return false;
}

bool is_flag(std::string_view argument) {
  return argument.size() > 1 && argument.front() == '-';
}

// The first argument at or after `at` that is neither a flag nor a flag's value, and whether "--"
// preceded it.
struct Word {
  std::size_t at = 0;  // arguments.size(): none
  bool flags_ended = false;
};
Word next_word(const std::vector<std::string>& arguments, std::size_t at) {
  for (; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "--") return {at + 1, true};
    if (!is_flag(argument)) break;
    if (takes_value(argument)) ++at;
  }
  return {std::min(at, arguments.size()), false};
}

std::optional<OutputFormat> parse_output(std::string_view text) {
  if (text == "raw") return OutputFormat::raw;
  if (text == "table") return OutputFormat::table;
  if (text == "json") return OutputFormat::json;
  return std::nullopt;
}

// Converts CLI11's results into the options of each command.
class Reader {
 public:
  Reader(const CLI::App& app, Raw& raw, std::string_view command)
      : app_(app), raw_(raw), command_(command) {}

  Options read() {
    if (given("--timeout")) {
      const auto timeout = http::parse_duration(raw_.timeout);
      if (!timeout)
        return fail(fmt::format("--timeout \"{}\": expected a duration such as 500ms, 5s or 1m",
                                escaped(raw_.timeout)));
      timeout_ = *timeout;
    }
    if (command_ == "server") return read_server();
    if (command_ == "client")
      return ClientOptions{raw_.address, raw_.key, taken("<value>", raw_.value), timeout_};
    return read_cluster_command();
  }

 private:
  bool given(const char* name) const {
    const CLI::Option* option = app_.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  }
  std::optional<std::string> taken(const char* name, const std::string& text) const {
    if (!given(name)) return std::nullopt;
    return text;
  }
  ExitNow fail(std::string_view what) const { return {usage_error(what, command_)}; }

  Options read_server() {
    const auto id = http::parse_decimal(raw_.id);
    if (!id)
      return fail(
          fmt::format("<id> \"{}\": expected the number of a line in the list, counted from 0",
                      escaped(raw_.id)));
    raw_.server.id = *id;
    raw_.server.data_dir = taken("--data-dir", raw_.data_dir);
    raw_.server.listen = taken("--listen", raw_.listen);
    raw_.server.peer_key_file = taken("--peer-key-file", raw_.peer_key_file);
    for (std::size_t i = 0; i < std::size(kSettings); ++i)
      if (given(kSettings[i].flag) && !read_setting(kSettings[i], raw_.settings[i]))
        return fail(
            fmt::format("{} \"{}\": expected {}", kSettings[i].flag, escaped(raw_.settings[i]),
                        kSettings[i].number != nullptr ? "a whole number above 0"
                                                       : "a duration such as 500ms, 5s or 1m"));
    return std::move(raw_.server);
  }
  bool read_setting(const Setting& setting, const std::string& text) {
    if (setting.number != nullptr) {
      const auto number = http::parse_decimal(text);
      if (number && *number > 0) raw_.server.*setting.number = *number;
      return number && *number > 0;
    }
    // 0 is not a valid duration elsewhere. Here it disables the lease.
    const bool none =
        (text == "0" || text == "0ms") && setting.duration == &ServerOptions::max_lease;
    raw_.server.*setting.duration = none ? Duration{} : http::parse_duration(text);
    return (raw_.server.*setting.duration).has_value();
  }

  Options read_cluster_command() {
    ClusterOptions cluster;
    cluster.endpoints = taken("--endpoints", raw_.endpoints);
    cluster.timeout = timeout_;
    if (given("--output")) {
      cluster.output = parse_output(raw_.output);
      if (!cluster.output)
        return fail(fmt::format("-o \"{}\": expected raw, table or json", escaped(raw_.output)));
    }
    if (raw_.json) {
      if (cluster.output.value_or(OutputFormat::json) != OutputFormat::json)
        return fail(
            fmt::format("--json and -o \"{}\" contradict each other", escaped(raw_.output)));
      cluster.output = OutputFormat::json;
    }
    if (command_ == "cluster") return read_transfer(std::move(cluster));
    if (command_ == "get") return read_get(std::move(cluster));
    if (command_ == "delete") return DeleteOptions{std::move(cluster), raw_.key};
    if (command_ == "status") {
      if (!given("--timeout")) cluster.timeout = kStatusTimeout;
      return StatusOptions{std::move(cluster)};
    }
    PutOptions put{std::move(cluster), raw_.key, taken("VALUE", raw_.value),
                   taken("--file", raw_.file)};
    if (put.value.has_value() == put.file.has_value())
      return fail(put.file ? "VALUE and --file cannot be given together"
                           : "VALUE is missing (- reads stdin, --file F reads a file)");
    return put;
  }

  Options read_transfer(ClusterOptions cluster) {
    if (raw_.action != "transfer")
      return fail(fmt::format("\"{}\": expected transfer", escaped(raw_.action)));
    TransferOptions transfer{std::move(cluster), std::nullopt};
    if (!given("ID")) return transfer;
    transfer.to = http::parse_decimal(raw_.id);
    if (!transfer.to)
      return fail(fmt::format("ID \"{}\": expected the id of a node (vesper status shows them)",
                              escaped(raw_.id)));
    return transfer;
  }

  Options read_get(ClusterOptions cluster) {
    GetOptions get{std::move(cluster), raw_.key, {}};
    const auto add = [&](std::string_view name, std::string_view value) {
      get.query += fmt::format("{}{}={}", get.query.empty() ? "" : "&", name, value);
    };
    if (given("--consistency")) {
      const std::string& level = raw_.consistency;
      if (level != "linearizable" && level != "lease" && level != "stale")
        return fail(fmt::format("--consistency \"{}\": expected linearizable, lease or stale",
                                escaped(level)));
      add("consistency", level);
    }
    if (given("--max-staleness")) {
      if (!http::parse_duration(raw_.max_staleness) || raw_.consistency != "stale")
        return fail(
            fmt::format("--max-staleness \"{}\": expected a duration such as 200ms or 1s, and "
                        "--consistency stale",
                        escaped(raw_.max_staleness)));
      add("max_staleness", raw_.max_staleness);
    }
    if (given("--min-revision")) {
      if (!http::parse_decimal(raw_.min_revision).value_or(0))
        return fail(fmt::format("--min-revision \"{}\": expected a whole number above 0",
                                escaped(raw_.min_revision)));
      add("min_revision", raw_.min_revision);
    }
    return get;
  }

  // A node that does not answer within this time is shown as unreachable. A healthy node answers at
  // once.
  static constexpr Duration kStatusTimeout = seconds(1);

  const CLI::App& app_;
  Raw& raw_;
  std::string_view command_;
  Duration timeout_ = seconds(5);
};

// The first argument that no option accepts.
std::string unexpected(const CLI::App& app) {
  for (const std::string& argument : app.remaining()) {
    if (argument == "--") continue;
    std::string what = fmt::format("unexpected {} \"{}\"", is_flag(argument) ? "flag" : "argument",
                                   escaped(argument));
    if (is_flag(argument)) what += "\nhint: if it is not a flag, put it after --";
    return what;
  }
  return "unexpected argument";
}

Options parse_command(std::string_view command, std::vector<std::string> arguments) {
  CLI::App app;
  Raw raw;
  define(app, command, raw);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes arguments from the back
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return ExitNow{print(app.help())};
  } catch (const CLI::ParseError& error) {
    std::string what = error.what();
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) what = unexpected(app);
    return ExitNow{usage_error(what, command)};
  }
  return Reader(app, raw, command).read();
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const Word word = next_word(arguments, 0);
  if (word.at == arguments.size()) {
    for (const std::string& argument : arguments) {
      if (argument == "--help" || argument == "-h") return ExitNow{print(main_help())};
      if (argument == "--version") return ExitNow{print("vesper " VESPER_VERSION "\n")};
    }
    if (arguments.empty()) return ExitNow{usage_error("no command given", "")};
    return ExitNow{
        usage_error(fmt::format("no command after \"{}\"", escaped(arguments.back())), "")};
  }
  const std::string command = arguments[word.at];
  if (std::find(kCommands.begin(), kCommands.end(), command) == kCommands.end())
    return ExitNow{usage_error(fmt::format("unknown command \"{}\"", escaped(command)), "")};
  arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(word.at));
  if (command == "client" && !word.flags_ended) {
    // Arguments after the address are never flags: a value may be "-5" or "--help".
    const Word address = next_word(arguments, word.at);
    if (!address.flags_ended && address.at < arguments.size())
      arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(address.at), "--");
  }
  return parse_command(command, std::move(arguments));
}

}  // namespace vesper::app
