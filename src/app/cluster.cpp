// The commands that change no key: `vesper cluster` and `vesper compact REVISION`.
#include <fmt/core.h>

#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {
namespace {

// "3, 4". Empty: the value is no list, or an empty one.
std::string join(const json::Value& list) {
  std::string text;
  for (const auto& element : list) text += (text.empty() ? "" : ", ") + cell(element.value).text;
  return text;
}

std::string word(const json::Value& value) {
  const auto truth = value.boolean();
  return !truth ? "-" : *truth ? "yes" : "no";
}

Row row_of(const json::Value& member) {
  Cell state = cell(member.find("state"));
  if (state.text == "unreachable") state.style = Style::red;
  Cell role = member.find("leader").exists()
                  ? Cell("leader", Style::green)
                  : Cell(word(member.find("voter")) == "yes" ? "voter" : "learner");
  return {cell(member.find("id")),  cell(member.find("name")), cell(member.find("address")),
          std::move(role),          std::move(state),          cell(member.find("match_index")),
          cell(member.find("lag")), cell(member.find("goal"))};
}

}  // namespace

int run_cluster_status(const ClusterStatusOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::table);
  const auto [document, code] = get_list(options.cluster, "/cluster", "members", format);
  if (!document) return code;
  std::vector<Row> rows;
  for (const auto& member : document->root().find("members")) rows.push_back(row_of(member.value));
  if (format == OutputFormat::raw) return print(make_tabbed(rows));
  return print(
      make_table({"ID", "NAME", "ADDRESS", "ROLE", "STATE", "MATCH", "LAG", "GOAL"}, rows));
}

// Prints the index of the new configuration. Members that the wait was too short for are an error,
// but the change goes on.
int run_members(const MembersOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  Call call;
  call.method = "POST";
  call.path = "/cluster/members";
  call.query = options.query;
  call.body = options.body;
  call.access = Access::write;
  call.waits = options.wait;
  const Called called = call_endpoints(options.cluster, call);
  if (!called.outcome) return called.exit_code;
  if (const int code = report(*called.outcome, Access::write, format)) return code;
  const auto document = parse_reply(*called.outcome);
  if (!document) return kExitError;
  const json::Value configuration = document->root().find("configuration");
  if (!configuration.exists()) return complain_of_shape(*called.outcome, "configuration");
  const std::string pending = join(document->root().find("pending"));
  const int code = pending.empty() ? kExitOk : kExitError;
  const Cell index = cell(configuration.find("index"));
  std::string text = index.text + "\n";
  if (format == OutputFormat::json) text = called.outcome->reply.body;
  if (format == OutputFormat::table)
    text =
        make_table({"CONFIGURATION", "JOINT", "PENDING"},
                   {{index, word(configuration.find("joint")), pending.empty() ? "-" : pending}});
  const int printed = print(text, code, kTookEffect);
  if (!pending.empty()) {
    complain(fmt::format(
        "the change goes on, but these members have not reached their goal yet: {}", pending));
    hint("`vesper cluster` shows their state, and the leader's log why one cannot be reached");
  }
  return printed;
}

int run_cluster(const TransferOptions& options) {
  Call call;
  call.method = "POST";
  call.path = "/cluster/transfer";
  if (options.to) call.query = fmt::format("to={}", *options.to);
  return print_outcome(call_endpoints(options.cluster, call), options.cluster, Access::read,
                       {"leader", "term"}, "leader");
}

int run_compact(const CompactOptions& options) {
  Call call;
  call.method = "POST";
  call.path = "/compact";
  call.query = fmt::format("revision={}", options.revision);
  call.access = Access::write;
  call.idempotency_key = make_idempotency_key();
  return print_outcome(call_endpoints(options.cluster, call), options.cluster, Access::write,
                       {"oldest_revision"}, "oldest_revision");
}

}  // namespace vesper::app
