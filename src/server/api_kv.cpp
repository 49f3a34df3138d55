// /kv/<key>: put, get and delete, with conditions.
#include <fmt/core.h>

#include <utility>

#include "http/conditions.hpp"
#include "http/grammar.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"
#include "server/api.hpp"

namespace vesper::server {
namespace {

constexpr std::uint64_t kEndOfRevisions = std::uint64_t{1} << 53;

bool is_read_option(std::string_view name) {
  return name == "consistency" || name == "max_staleness" || name == "min_revision";
}

std::optional<Problem> read_option(const http::QueryParameter& parameter,
                                   node::ReadOptions& options) {
  if (parameter.name == "consistency") {
    for (const auto level :
         {node::ReadLevel::linearizable, node::ReadLevel::lease, node::ReadLevel::stale}) {
      options.level = level;
      if (to_string(level) == parameter.value) return std::nullopt;
    }
    return invalid_parameter(parameter.name, "consistency is linearizable, lease or stale");
  }
  if (parameter.name == "max_staleness") {
    options.max_staleness = http::parse_duration(parameter.value);
    if (options.max_staleness) return std::nullopt;
    return invalid_parameter(parameter.name, "max_staleness is a duration such as 200ms");
  }
  const auto revision = http::parse_decimal(parameter.value);
  if (!revision || *revision == 0 || *revision >= kEndOfRevisions)
    return invalid_parameter(parameter.name, "min_revision is a whole number from 1, below 2^53");
  options.min_revision = *revision;
  return std::nullopt;
}

// All lines of one condition make one list (RFC 9110 §5.3). Weak tags match in If-None-Match only
// (§13.1.1, §13.1.2).
std::optional<Problem> read_condition(const http::Fields& fields, std::string_view name, bool weak,
                                      std::optional<kv::Match>& match) {
  http::EntityTags tags;
  for (const http::Field& field : fields) {
    if (!http::equal_ignoring_case(field.name, name)) continue;
    if (!http::add_entity_tags(field.value, tags))
      return invalid_header(name, fmt::format("{} is not \"*\" and not a list of up to {} entity "
                                              "tags such as \"7\"",
                                              name, http::kMaxEntityTags));
  }
  if (!tags.present) return std::nullopt;
  match = kv::Match{tags.any, std::move(tags.strong)};
  if (weak) match->revisions.insert(match->revisions.end(), tags.weak.begin(), tags.weak.end());
  return std::nullopt;
}

void render_failed_condition(std::uint64_t current_revision, std::uint64_t revision,
                             Answer& answer) {
  Problem problem{.status = 412, .code = "precondition_failed"};
  problem.detail = current_revision == 0
                       ? "the key does not exist"
                       : fmt::format("the key is at revision {}", current_revision);
  problem.detail += "; nothing was changed";
  problem.hint = "read the key and decide again";
  problem.current_revision = current_revision;
  answer.status = 412;
  answer.content_type = "application/problem+json";
  if (current_revision != 0) answer.etag = current_revision;
  answer.revision = revision;
  append_problem(answer.body, problem);
}

void render_absent(std::uint64_t revision, Answer& answer) {
  answer.status = 404;
  answer.content_type = "application/problem+json";
  answer.revision = revision;
  append_problem(answer.body,
                 {.status = 404, .code = "key_not_found", .detail = "there is no such key"});
}

void render_item(const Exchange& exchange, const kv::Item& item, Answer& answer) {
  answer.etag = item.revision;
  if (exchange.raw) {
    answer.content_type = "application/octet-stream";
    answer.shared = item.value;
    return;
  }
  json::Writer json(answer.body);
  json.begin_object();
  json.bytes_member("key", exchange.key);
  json.bytes_member("value", item.value.view());
  if (item.json) {
    json.key("json");
    json.boolean(true);
  }
  json.key("revision");
  json.number(item.revision);
  json.key("create_revision");
  json.number(item.create_revision);
  json.key("version");
  json.number(item.version);
  json.end_object();
  answer.body += '\n';
}

void render_read(const Exchange& exchange, const node::ReadResult& read, Answer& answer) {
  answer.revision = read.revision;
  answer.consistency = to_string(read.level);
  if (read.staleness)  // at most: rounded up
    answer.staleness_ms = static_cast<std::uint64_t>((read.staleness->ns + 999'999) / 1'000'000);
  if (!read.item) return render_absent(read.revision, answer);
  switch (kv::judge(exchange.conditions, &*read.item)) {
    case kv::Verdict::holds: return render_item(exchange, *read.item, answer);
    case kv::Verdict::if_match_failed:
      return render_failed_condition(read.item->revision, read.revision, answer);
    case kv::Verdict::if_none_match_failed:
      answer.status = 304;
      answer.content_type = {};
      answer.etag = read.item->revision;
      return;
  }
}

void render_write(const Exchange& exchange, const kv::WriteResult& write, Answer& answer) {
  answer.revision = write.revision;
  json::Writer json(answer.body);
  switch (write.kind) {
    case kv::WriteResult::Kind::put:
      answer.etag = write.revision;
      json.begin_object();
      json.bytes_member("key", exchange.key);
      json.key("revision");
      json.number(write.revision);
      json.key("create_revision");
      json.number(write.create_revision);
      json.key("version");
      json.number(write.version);
      break;
    case kv::WriteResult::Kind::removed:
    case kv::WriteResult::Kind::absent:
      json.begin_object();
      json.key("deleted");
      json.number(write.kind == kv::WriteResult::Kind::removed ? 1 : 0);
      json.key("revision");
      json.number(write.revision);
      break;
    case kv::WriteResult::Kind::precondition_failed:
      return render_failed_condition(write.current_revision, write.revision, answer);
    case kv::WriteResult::Kind::key_reused:
    case kv::WriteResult::Kind::table_full:
      VESPER_UNREACHABLE();  // the caller made problems of them
  }
  json.end_object();
  answer.body += '\n';
}

}  // namespace

std::optional<Problem> check_kv(const Context& context, const http::RequestHead& head,
                                const Query& query, Exchange& exchange) {
  const bool reads = !exchange.is_write();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "raw" && reads) {
      const auto flag = http::parse_flag(parameter.value);
      if (!flag) return invalid_parameter("raw", "raw is a flag: ?raw, ?raw=1 or ?raw=0");
      exchange.raw = *flag;
    } else if (reads && is_read_option(parameter.name)) {
      if (auto problem = read_option(parameter, exchange.read)) return problem;
    } else {
      return unknown_parameter(parameter);
    }
  }
  if (exchange.read.max_staleness && exchange.read.level != node::ReadLevel::stale)
    return invalid_parameter("max_staleness", "max_staleness goes with consistency=stale only");
  if (auto problem = read_condition(head.fields, "If-Match", false, exchange.conditions.if_match))
    return problem;
  if (auto problem =
          read_condition(head.fields, "If-None-Match", true, exchange.conditions.if_none_match))
    return problem;
  if (!reads)
    if (auto problem = read_token(head, exchange)) return problem;
  if (exchange.method != http::Method::put) return std::nullopt;
  if (auto problem = check_value_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = context.options().max_value;
  exchange.too_large = "value_too_large";
  return check_length(head, exchange, true);
}

void run_kv(Context& context, std::uint64_t connection, Exchange& exchange, std::string body) {
  const node::Ticket ticket{connection, exchange.sequence};
  const Instant deadline = context.now() + exchange.timeout;
  if (!exchange.is_write()) {
    context.post(node::ClientRead{ticket, exchange.key, deadline, exchange.read});
    return;
  }
  const auto id = request_id(exchange, "/kv/" + exchange.key, body);
  const std::string command =
      exchange.method == http::Method::put
          ? kv::encode_put(exchange.key, body, false, exchange.conditions, id)
          : kv::encode_remove(exchange.key, exchange.conditions, id);
  context.post(node::ClientWrite{ticket, SharedBytes::copy_of(command), deadline});
}

void render_kv(const Context&, const Exchange& exchange, const node::Reply& reply, Answer& answer) {
  if (const auto* read = std::get_if<node::ReadResult>(&reply))
    render_read(exchange, *read, answer);
  else if (const auto* write = std::get_if<kv::WriteResult>(&reply))
    render_write(exchange, *write, answer);
}

}  // namespace vesper::server
