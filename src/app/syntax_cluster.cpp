// The syntax of `vesper cluster`, and the request that a change of the members becomes.
#include <fmt/core.h>

#include <algorithm>

#include "app/command_list.hpp"
#include "app/endpoints.hpp"
#include "app/query.hpp"
#include "base/bytes.hpp"
#include "http/values.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"
#include "raft/types.hpp"

namespace vesper::app {
namespace {

constexpr const char* kClusterActions = "status|transfer|add|remove|replace|promote|demote|update";
constexpr const char* kClusterWords = "ID|URL";
constexpr std::string_view kWith = "with";

// Words may be separated by commas or spaces.
std::vector<std::string> words_of(const Arguments& arguments) {
  std::vector<std::string> words;
  for (const std::string& text : arguments.syntax().texts(kClusterWords)) {
    std::string_view rest = text;
    while (true) {
      const std::size_t comma = rest.find(',');
      words.emplace_back(rest.substr(0, comma));
      if (comma == rest.npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return words;
}

class ChangeWriter {
 public:
  using Words = std::vector<std::string>;

  explicit ChangeWriter(Arguments& arguments) : arguments_(arguments) { json_.begin_object(); }

  void add(const Words& urls) {
    const bool learner = arguments_.has("--learner");
    if (urls.empty()) arguments_.fail("URL is missing: the address of the new member");
    if (arguments_.has("--name") && urls.size() != 1) arguments_.fail("--name goes with one URL");
    json_.key("add");
    json_.begin_array();
    for (const std::string& url : urls) {
      json_.begin_object();
      write_address(url);
      if (learner) json_.member("learner", true);
      if (arguments_.has("--name")) json_.member("name", arguments_.text("--name"));
      json_.end_object();
    }
    json_.end_array();
  }

  void list(json::Name name, const Words& ids) {
    if (ids.empty()) arguments_.fail("ID is missing (vesper cluster shows the members)");
    json_.key(name);
    json_.begin_array();
    for (const std::string& id : ids) json_.number(read_id(id));
    json_.end_array();
  }

  void replace(const Words& words) {
    const auto with = std::find(words.begin(), words.end(), kWith);
    if (with == words.end())
      return arguments_.fail(
          "expected ID[,ID] with URL[,URL], such as 2 with http://10.0.0.9:5000");
    add(Words(with + 1, words.end()));
    list("remove", Words(words.begin(), with));
  }

  void update(const Words& words) {
    if (words.size() != 2)
      return arguments_.fail("expected ID URL, such as 2 http://10.0.0.9:5000");
    json_.key("update");
    json_.begin_array();
    json_.begin_object();
    json_.member("id", read_id(words[0]));
    write_address(words[1]);
    json_.end_object();
    json_.end_array();
  }

  std::string take() {
    json_.end_object();
    return std::move(text_);
  }

 private:
  std::uint64_t read_id(const std::string& text) {
    const auto id = http::parse_decimal(text);
    if (!id || *id > raft::kMaxServerId)
      arguments_.fail(fmt::format("\"{}\": expected the id of a member (vesper cluster shows them)",
                                  escaped(text)));
    return id.value_or(0);
  }
  void write_address(const std::string& text) {
    const auto server = parse_endpoint(text);
    if (!server) arguments_.fail(server.error().what);
    else json_.member("address", server->url());
  }

  Arguments& arguments_;
  std::string text_;
  json::Writer json_{text_};
};

Options read_change(Arguments& arguments, const std::string& action,
                    const std::vector<std::string>& words) {
  MembersOptions members;
  members.cluster = arguments.cluster();
  ChangeWriter change(arguments);
  if (action == "add") change.add(words);
  else if (action == "remove") change.list("remove", words);
  else if (action == "promote") change.list("promote", words);
  else if (action == "demote") change.list("demote", words);
  else if (action == "replace") change.replace(words);
  else change.update(words);
  members.body = change.take();
  Query query;
  if (const auto wait = arguments.duration("--wait")) {
    members.wait = *wait;
    query.add("wait", arguments.text("--wait"));
  }
  if (arguments.has("--force")) query.flag("force");
  members.query = query.text();
  if (action != "add")
    for (const std::string_view flag : {"--learner", "--name"})
      if (arguments.has(flag)) arguments.fail(fmt::format("{} goes with add", flag));
  return members;
}

Options read_transfer(Arguments& arguments, const std::vector<std::string>& words) {
  TransferOptions transfer{arguments.cluster(), std::nullopt};
  if (words.empty()) return transfer;
  transfer.to = http::parse_decimal(words.front());
  if (!transfer.to || words.size() > 1)
    arguments.fail(fmt::format("\"{}\": expected the id of one node (vesper status shows them)",
                               escaped(words.back())));
  return transfer;
}

}  // namespace

void define_cluster_command(Syntax& syntax) {
  syntax.argument(kClusterActions, Need::optional);
  syntax.repeatable_argument(kClusterWords, Need::optional);
  syntax.flag("--learner", "add: a replica that serves reads and never votes");
  syntax.option("--name", "NAME", "add: what the new member is called (default: its address)");
  syntax.option("--wait", "DURATION", "also wait until the new voters vote: 30s, up to 10m");
  syntax.flag("--force", "change the members even if that loses the quorum");
  define_cluster(syntax);
}

Options read_cluster_command(Arguments& arguments) {
  const std::string action =
      arguments.has(kClusterActions) ? arguments.text(kClusterActions) : "status";
  const std::vector<std::string> words = words_of(arguments);
  const bool is_change = action == "add" || action == "remove" || action == "replace" ||
                         action == "promote" || action == "demote" || action == "update";
  if (is_change) return read_change(arguments, action, words);
  for (const std::string_view flag : {"--learner", "--name", "--wait", "--force"})
    if (arguments.has(flag))
      arguments.fail(fmt::format("{} goes with a change of the members", flag));
  if (action == "transfer") return read_transfer(arguments, words);
  if (action != "status")
    arguments.fail(
        fmt::format("\"{}\": expected status, transfer, add, remove, replace, promote, "
                    "demote or update",
                    escaped(action)));
  else if (!words.empty()) arguments.fail("status takes no argument");
  return ClusterStatusOptions{arguments.cluster()};
}

}  // namespace vesper::app
