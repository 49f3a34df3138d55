// What the commands share: checked keys, their paths, and the shapes in which a reply is
// printed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/call.hpp"
#include "app/options.hpp"
#include "json/document.hpp"

namespace vesper::app {

// Checks key and endpoints, makes the call to /kv/<key>. Nothing where something was wrong with
// them; that has been said, and the exit code is kExitUsage.
std::optional<Outcome> call_kv(const ClusterOptions& options, std::string_view key, Call call);

// Finds the endpoints and makes the call. Nothing where they are wrong; that has been said.
std::optional<Outcome> call_endpoints(const ClusterOptions& options, const Call& call);

// A member of a reply as text for people: strings escaped, numbers as they are, "-" where there is
// none.
std::string cell(const json::Value& value);

// Columns as wide as they have to be, two spaces between them.
std::string make_table(const std::vector<std::vector<std::string>>& rows);

// Prints a reply of 200: json as it came, table as `columns` (members of the reply, headed by their
// names), raw as the one member `raw`. `lost_hint` as for print(). Returns the exit code.
int print_reply(const Outcome& outcome, OutputFormat format,
                const std::vector<std::string_view>& columns, std::string_view raw,
                std::string_view lost_hint = {});

}  // namespace vesper::app
