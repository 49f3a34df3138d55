// Shared by the commands: checks keys, builds paths, and prints replies as raw text, a table or
// JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/call.hpp"
#include "app/options.hpp"
#include "json/document.hpp"

namespace vesper::app {

// Checks key and endpoints and calls /kv/<key>. Returns nothing if one of them is invalid; that was
// reported, and the exit code is kExitUsage.
std::optional<Outcome> call_kv(const ClusterOptions& options, std::string_view key, Call call);

// Finds the endpoints and makes the call. Returns nothing if they are invalid; that was reported.
std::optional<Outcome> call_endpoints(const ClusterOptions& options, const Call& call);

// A member of a reply as text: strings escaped, numbers unchanged, "-" if missing.
std::string cell(const json::Value& value);

// Each column is as wide as its longest cell. Two spaces separate columns.
std::string make_table(const std::vector<std::vector<std::string>>& rows);

// Prints a reply of 200. json: the body unchanged. table: the members in `columns`, under their
// names. raw: only the member `raw`. `lost_hint` is passed to print(). Returns the exit code.
int print_reply(const Outcome& outcome, OutputFormat format,
                const std::vector<std::string_view>& columns, std::string_view raw,
                std::string_view lost_hint = {});

}  // namespace vesper::app
