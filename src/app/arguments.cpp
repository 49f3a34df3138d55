#include "app/arguments.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "app/query.hpp"
#include "base/bytes.hpp"
#include "http/values.hpp"

namespace vesper::app {
namespace {

std::vector<std::string> split_choices(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t bar = text.find('|');
    words.emplace_back(text.substr(0, bar));
    if (bar == text.npos) return words;
    text.remove_prefix(bar + 1);
  }
}

// "raw, table or json".
std::string join_choices(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 < words.size() ? ", " : " or ";
    out += words[i];
  }
  return out;
}

}  // namespace

void define_timeout(Syntax& syntax, std::string_view otherwise) {
  syntax.option("--timeout", "DURATION",
                fmt::format("how long to try: 500ms, 5s, 1m (default {})", otherwise));
}

void define_tls(Syntax& syntax) {
  syntax.option("--cacert", "FILE", "https: who signs the servers (default: the system's)");
  syntax.option("--cert", "FILE", "https: a client certificate");
  syntax.option("--key", "FILE", "https: the key of --cert");
  syntax.flag("--insecure", "https: believe any server, and learn nothing about who it is");
}

void define_token_file(Syntax& syntax) {
  syntax.option("--token-file", "FILE", "holds the token; -: stdin (default: $VESPER_TOKEN)");
}

void define_endpoints(Syntax& syntax, std::string_view timeout) {
  syntax.option("--endpoints", "URL,URL", "comma-separated addresses, tried in this order");
  define_timeout(syntax, timeout);
  define_tls(syntax);
  define_token_file(syntax);
}

void define_cluster(Syntax& syntax, std::string_view timeout) {
  define_endpoints(syntax, timeout);
  syntax.option("-o,--output", "raw|table|json", "json: the server's reply, unchanged");
  syntax.flag("--curl", "print the curl command in place of sending the request");
}

void define_read_level(Syntax& syntax) {
  syntax.option("--consistency", "linearizable|lease|stale", "default: linearizable");
  syntax.option("--max-staleness", "DURATION", "how old a stale read may be: 200ms, 1s");
  syntax.option("--min-revision", "N", "wait until the node has applied revision N");
}

void define_revision(Syntax& syntax) {
  syntax.option("--revision", "N", "read the store as it was at this revision");
}

void define_fence(Syntax& syntax) {
  syntax.option("--fence", "NAME:TOKEN",
                "write only while this lock or election is held with this token");
}

void Arguments::fail(std::string what) {
  if (!error_) error_ = std::move(what);
}

void Arguments::expected(std::string_view name, std::string_view what) {
  fail(fmt::format("{} \"{}\": expected {}", name, escaped(text(name)), what));
}

std::optional<std::string> Arguments::optional_text(std::string_view name) const {
  if (!has(name)) return std::nullopt;
  return text(name);
}

std::optional<Duration> Arguments::duration(std::string_view name) {
  if (!has(name)) return std::nullopt;
  const auto parsed = http::parse_duration(text(name));
  if (!parsed) expected(name, "a duration such as 500ms, 5s or 1m");
  return parsed;
}

std::optional<std::uint64_t> Arguments::number(std::string_view name) {
  if (!has(name)) return std::nullopt;
  const auto parsed = http::parse_decimal(text(name));
  if (parsed.value_or(0) == 0) expected(name, "a whole number above 0");
  return parsed;
}

std::optional<std::uint64_t> Arguments::size(std::string_view name) {
  if (!has(name)) return std::nullopt;
  const auto parsed = http::parse_size(text(name));
  if (parsed.value_or(0) == 0) expected(name, "a number of bytes above 0 such as 65536 or 64MiB");
  return parsed;
}

std::optional<std::string> Arguments::choice(std::string_view name) {
  if (!has(name)) return std::nullopt;
  for (const OptionDescription& option : syntax_.describe().options) {
    if (std::find(option.names.begin(), option.names.end(), name) == option.names.end()) continue;
    const auto words = split_choices(option.value);
    if (std::find(words.begin(), words.end(), text(name)) == words.end())
      expected(name, join_choices(words));
  }
  return text(name);
}

TlsFlags Arguments::tls() const {
  return {text("--cacert"), text("--cert"), text("--key"), has("--insecure")};
}

ClusterOptions Arguments::cluster() {
  ClusterOptions cluster;
  cluster.tls = tls();
  cluster.endpoints = optional_text("--endpoints");
  cluster.timeout = duration("--timeout");
  cluster.curl = has("--curl");
  cluster.token_file = optional_text("--token-file");
  if (const auto format = choice("--output"))
    cluster.output = *format == "json"    ? OutputFormat::json
                     : *format == "table" ? OutputFormat::table
                                          : OutputFormat::raw;
  if (!has("--json")) return cluster;
  if (cluster.output.value_or(OutputFormat::json) != OutputFormat::json)
    fail(fmt::format("--json and -o \"{}\" contradict each other", escaped(text("--output"))));
  cluster.output = OutputFormat::json;
  return cluster;
}

std::string Arguments::read_level() {
  Query query;
  if (const auto level = choice("--consistency")) query.add("consistency", *level);
  if (duration("--max-staleness")) {
    if (text("--consistency") != "stale") fail("--max-staleness needs --consistency stale");
    query.add("max_staleness", text("--max-staleness"));
  }
  if (const auto revision = number("--min-revision")) query.add("min_revision", *revision);
  return query.text();
}

std::string Arguments::read_options() {
  Query query(read_level());
  if (const auto revision = number("--revision")) query.add("revision", *revision);
  return query.text();
}

std::string Arguments::fence() {
  if (!has("--fence")) return {};
  const std::string text = this->text("--fence");
  const std::size_t colon = text.rfind(':');
  if (colon == 0 || colon == text.npos ||
      http::parse_decimal(std::string_view(text).substr(colon + 1)).value_or(0) == 0)
    expected("--fence", "the name of a lock and its token, such as report:17");
  return Query().add("fence", text).text();
}

InputOptions Arguments::input() {
  InputOptions input{optional_text("VALUE"), optional_text("--file")};
  if (input.text && input.file) fail("VALUE and --file cannot be given together");
  if (!input.text && !input.file) fail("VALUE is missing (- reads stdin, --file F reads a file)");
  if (input.file == "-") fail("--file \"-\": expected a file; the VALUE - reads stdin");
  return input;
}

}  // namespace vesper::app
