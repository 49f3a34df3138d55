// Reads the results of a Syntax into options, and defines what many commands have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "app/options.hpp"
#include "app/syntax.hpp"

namespace vesper::app {

void define_timeout(Syntax& syntax, std::string_view otherwise = "5s");
// --cacert, --cert, --key and --insecure.
void define_tls(Syntax& syntax);
// --token-file.
void define_token_file(Syntax& syntax);
// --endpoints, --timeout and those of the two above.
void define_endpoints(Syntax& syntax, std::string_view timeout = "5s");
// The same, --output and --curl.
void define_cluster(Syntax& syntax, std::string_view timeout = "5s");
// --consistency, --max-staleness and --min-revision.
void define_read_level(Syntax& syntax);
// --revision.
void define_revision(Syntax& syntax);
// --fence.
void define_fence(Syntax& syntax);

// Converts the text of arguments. A wrong one makes error() say what was expected; the result of
// the conversion then has no meaning. `name` is as in Syntax.
class Arguments {
 public:
  explicit Arguments(const Syntax& syntax) : syntax_(syntax) {}

  bool has(std::string_view name) const { return syntax_.has(name); }
  // Empty if the argument was not given.
  std::string text(std::string_view name) const { return syntax_.text(name); }
  std::optional<std::string> optional_text(std::string_view name) const;
  std::optional<Duration> duration(std::string_view name);
  // A whole number above 0.
  std::optional<std::uint64_t> number(std::string_view name);
  // A number of bytes above 0, alone or with a unit.
  std::optional<std::uint64_t> size(std::string_view name);
  // One of the words that the option's definition lists.
  std::optional<std::string> choice(std::string_view name);

  ClusterOptions cluster();
  TlsFlags tls() const;
  // --consistency, --max-staleness and --min-revision as parameters of a query.
  std::string read_level();
  // The same, and --revision.
  std::string read_options();
  // --fence as a parameter of a query. Empty if it was not given.
  std::string fence();
  // VALUE and --file, of which exactly one has to be given.
  InputOptions input();

  // Only the first error is kept.
  void fail(std::string what);
  void expected(std::string_view name, std::string_view what);
  const std::optional<std::string>& error() const { return error_; }
  const Syntax& syntax() const { return syntax_; }

 private:
  const Syntax& syntax_;
  std::optional<std::string> error_;
};

}  // namespace vesper::app
