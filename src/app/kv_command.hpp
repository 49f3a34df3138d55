// Shared by the commands: makes calls or prints them as curl commands, reads input, and prints
// replies as raw text, a table or JSON.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/call.hpp"
#include "app/options.hpp"
#include "app/table.hpp"
#include "json/document.hpp"

namespace vesper::app {

// The outcome of a call, or the exit code of a command that made none. In that case an argument is
// invalid, which was reported, or --curl has printed the request.
struct Called {
  std::optional<Outcome> outcome;
  int exit_code = kExitOk;
};

// Checks the key, and calls /kv/<key>. A write gets an Idempotency-Key.
Called call_kv(const ClusterOptions& options, std::string_view key, Call call);
// The cluster keeps no large reply for an Idempotency-Key, and refuses such a write before it
// changes anything. So it is sent once more, without the key.
Called call_endpoints(const ClusterOptions& options, const Call& call);

// The reply to GET `path`, whose member `list` is an array, to be shown as a table. Without a
// document the command ends with the exit code: the reply was printed unchanged (json), or a
// failure was reported.
struct ListReply {
  std::optional<json::Document> document;
  int exit_code = kExitOk;
};
ListReply get_list(const ClusterOptions& options, std::string_view path, std::string_view list,
                   OutputFormat format);

// Makes the files of the flags ready if an endpoint needs them. False if they cannot be used, which
// was reported.
bool prepare_tls(const TlsFlags& flags, const std::vector<HostPort>& endpoints);

// The endpoints of the options, of the environment, or of the list. Nothing if they are invalid,
// which was reported.
std::optional<std::vector<HostPort>> endpoints_of(const ClusterOptions& options);

// A fresh one, so that a write that is sent several times is applied once.
std::string make_idempotency_key();

// Prints the call as a curl command for the first endpoint. Returns the exit code.
int print_curl(const ClusterOptions& options, const Call& call);

// Sets the body of a call. With --curl, names the file and does not read it. Returns the exit code.
int load_body(const ClusterOptions& options, const InputOptions& input, Call& call);

// Prints a reply of 200. json: the body unchanged. table: the members in `columns`, under their
// names. raw: only the member `raw`. `lost_hint` is passed to print(). Returns the exit code.
int print_reply(const Outcome& outcome, OutputFormat format,
                const std::vector<std::string_view>& columns, std::string_view raw,
                std::string_view lost_hint = {});

// Reports a failed call, or prints what it did like print_reply(), in the format of `options`.
// Returns the exit code.
int print_outcome(const Called& called, const ClusterOptions& options, Access access,
                  const std::vector<std::string_view>& columns, std::string_view raw);

// Prints all pages of a list such as GET /locks: a table, lines with tabs, or each reply as it is.
// Returns the exit code.
struct Pages {
  std::string_view name;  // of the path, without "/", and of the member that holds the entries
  std::string query;
};
int run_pages(const ClusterOptions& options, const Pages& pages, Row header,
              const std::function<Row(const json::Value&)>& row_of);

// Parses a reply of 200. Nothing if it is not JSON, which was reported.
std::optional<json::Document> parse_reply(const Outcome& outcome);
// Reports a reply of 200 that is not what the command expects. Returns the exit code.
int complain_of_shape(const Outcome& outcome, std::string_view missing);

// The format that was asked for. Otherwise a table on a terminal, and raw text elsewhere.
OutputFormat table_on_terminal(const ClusterOptions& options);

}  // namespace vesper::app
