#include "api/chaos.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/json_fields.hpp"
#include "json/document.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr std::size_t kMaxChaosBody = 4096;    // bytes
constexpr std::uint64_t kSlowestDisk = 5'000;  // ms for each write

// What can be done, and which members it takes besides "do".
struct Act {
  std::string_view name;
  std::array<std::string_view, 3> members{"node"};
};
constexpr std::array kActs{Act{"kill"},     Act{"restart"},
                           Act{"pause"},    Act{"resume"},
                           Act{"isolate"},  Act{"cut", {"from", "to", "both"}},
                           Act{"heal"},     Act{"slow_disk", {"node", "ms"}},
                           Act{"campaign"}, Act{"transfer", {"to"}}};

class ChaosReader {
 public:
  explicit ChaosReader(std::string& out) : json_(out) {}

  Problem& problem() { return fields_.problem(); }

  bool read(json::Value root, std::optional<std::uint64_t>& to) {
    if (!fields_.check_members(path_, root, {"do", "node", "from", "to", "both", "ms"}))
      return false;
    const auto name = root.find("do").string();
    const auto act = std::find_if(kActs.begin(), kActs.end(),
                                  [&](const Act& known) { return known.name == name; });
    if (act == kActs.end())
      return fields_.fail(path_.member("do"),
                          "must be kill, restart, pause, resume, isolate, cut, heal, slow_disk, "
                          "campaign or transfer");
    if (!check_act(*act, root)) return false;
    json_.begin_object();
    json_.member("do", act->name);
    if (act->members[0] == "node" && (act->name != "heal" || has(root, "node")))
      if (!copy(root, "node", raft::kMaxServerId)) return false;
    if (act->name == "cut" && !read_cut(root)) return false;
    if (act->name == "slow_disk" && !copy(root, "ms", kSlowestDisk)) return false;
    if (act->name == "transfer") {
      std::uint64_t number = 0;
      if (!read_number(root, "to", raft::kMaxServerId, number)) return false;
      to = number;
    }
    json_.end_object();
    return true;
  }

 private:
  static bool has(json::Value root, std::string_view name) { return root.find(name).exists(); }
  // A member that the act ignores may be a mistake that changes what it does.
  bool check_act(const Act& act, json::Value root) {
    for (const auto& member : root) {
      const auto& known = act.members;
      if (member.name == "do" || std::find(known.begin(), known.end(), member.name) != known.end())
        continue;
      return fields_.fail(path_.member(member.name),
                          fmt::format("does not belong to \"do\":\"{}\"", act.name));
    }
    return true;
  }
  bool read_cut(json::Value root) {
    bool both = false;
    if (!copy(root, "from", raft::kMaxServerId) || !copy(root, "to", raft::kMaxServerId) ||
        !fields_.read_flag(path_, root, "both", both))
      return false;
    json_.member("both", both);
    return true;
  }
  bool read_number(json::Value root, std::string_view name, std::uint64_t max,
                   std::uint64_t& number) {
    const JsonPath path = path_.member(name);
    const json::Value value = root.find(name);
    if (value.kind() != json::Kind::number) return fields_.fail_type(path, value, "a number");
    return fields_.read_unsigned(path, value, 0, max, number);
  }
  bool copy(json::Value root, std::string_view name, std::uint64_t max) {
    std::uint64_t number = 0;
    if (!read_number(root, name, max, number)) return false;
    json_.key(name);
    json_.number(number);
    return true;
  }

  const JsonPath path_;
  FieldReader fields_{0};
  json::Writer json_;
};

}  // namespace

Problem no_supervisor() {
  return {.status = 503,
          .code = "no_supervisor",
          .detail = "the process that has started this node, and could do this, is not there",
          .hint = "start the cluster with `vesper dev`"};
}

std::optional<Problem> read_chaos(std::string_view body, std::string& request,
                                  std::optional<std::uint64_t>& to) {
  json::Document document;
  if (const auto wrong = document.parse(body)) return problem_of(*wrong);
  ChaosReader reader(request);
  if (reader.read(document.root(), to)) return std::nullopt;
  return std::move(reader.problem());
}

std::optional<Problem> check_chaos(const Context&, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange) {
  exchange.request.emplace<ChaosRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name != "timeout") return unknown_parameter(parameter);
    if (auto problem = read_timeout(parameter, exchange)) return problem;
  }
  if (exchange.method != http::Method::post) return check_length(head, exchange, Length::optional);
  if (auto problem = refuse_conditions(head)) return problem;
  if (auto problem = refuse_idempotency_key(head, "a fault")) return problem;
  if (auto problem = check_json_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = kMaxChaosBody;
  exchange.too_large = "body_too_large";
  return check_length(head, exchange, Length::optional);
}

void run_chaos(Context& context, HttpExchange& exchange, std::string body) {
  std::string request = R"({"do":"report"})";
  std::optional<std::uint64_t> to;
  if (exchange.method == http::Method::post) {
    request.clear();
    if (auto problem = read_chaos(body, request, to)) {
      exchange.outcome = std::move(*problem);
      return;
    }
  }
  if (!to) {
    if (!context.chaos()->ask(exchange.ticket, request)) exchange.outcome = no_supervisor();
    return;
  }
  const auto voter = find_voter(context, to);
  if (!voter) {
    exchange.outcome = Problem{.status = 409,
                               .code = "not_possible",
                               .detail = "\"to\" is the id of no member that votes"};
    return;
  }
  std::get<ChaosRequest>(exchange.request).is_transfer = true;
  context.post(node::ClientTransfer{exchange.ticket, *voter, context.now() + exchange.timeout,
                                    exchange.identity});
}

void render_chaos(Context&, const HttpExchange& exchange, Answer& answer) {
  if (const auto* text = std::get_if<SuppliedBody>(&exchange.outcome)) {
    answer.body += text->body;
    answer.body += '\n';
    return;
  }
  if (const auto* refusal = std::get_if<node::Refusal>(&exchange.reply()))
    return render_refusal(*refusal, {}, answer);
  answer.body += "{\"done\":true}\n";
}

}  // namespace vesper::api
