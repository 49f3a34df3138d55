#include "api/kv.hpp"

#include <fmt/core.h>

#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "http/conditions.hpp"
#include "http/grammar.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
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
    return invalid_parameter(parameter.name, "consistency must be linearizable, lease or stale");
  }
  if (parameter.name == "max_staleness") {
    options.max_staleness = http::parse_duration(parameter.value);
    if (options.max_staleness) return std::nullopt;
    return invalid_parameter(parameter.name, "max_staleness must be a duration such as 200ms");
  }
  const auto revision = http::parse_decimal(parameter.value);
  if (!revision || *revision == 0 || *revision >= kEndOfRevisions)
    return invalid_parameter(parameter.name,
                             "min_revision must be a whole number from 1 to 2^53 - 1");
  options.min_revision = *revision;
  return std::nullopt;
}

// All field lines of one condition form one list (RFC 9110 §5.3). Weak tags match in If-None-Match
// only (RFC 9110 §13.1.1, §13.1.2).
std::optional<Problem> read_condition(const http::Fields& fields, std::string_view name, bool weak,
                                      std::optional<kv::Match>& match) {
  http::EntityTags tags;
  for (const http::Field& field : fields) {
    if (!http::equal_ignoring_case(field.name, name)) continue;
    if (!http::add_entity_tags(field.value, tags))
      return invalid_header(
          name, fmt::format("{} must be \"*\" or a list of up to {} entity tags such as \"7\"",
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

void render_item(const KvRequest& request, const kv::Item& item, Answer& answer) {
  answer.etag = item.revision;
  if (request.raw) {
    answer.content_type = "application/octet-stream";
    answer.shared = item.value;
    return;
  }
  json::Writer json(answer.body);
  json.begin_object();
  json.bytes_member("key", request.key);
  json.bytes_member("value", item.value.view());
  if (item.json) {
    json.member("json", true);
  }
  json.member("revision", item.revision);
  json.member("create_revision", item.create_revision);
  json.member("version", item.version);
  json.end_object();
  answer.body += '\n';
}

void render_read(const KvRequest& request, const node::ReadResult& read, Answer& answer) {
  answer.revision = read.revision;
  answer.consistency = to_string(read.level);
  if (read.staleness)  // an upper bound, so rounded up
    answer.staleness_ms = static_cast<std::uint64_t>((read.staleness->ns + 999'999) / 1'000'000);
  if (!read.item) return render_absent(read.revision, answer);
  switch (kv::evaluate(request.conditions, &*read.item)) {
    case kv::Verdict::holds: return render_item(request, *read.item, answer);
    case kv::Verdict::if_match_failed:
      return render_failed_condition(read.item->revision, read.revision, answer);
    case kv::Verdict::if_none_match_failed:
      answer.status = 304;
      answer.content_type = {};
      answer.etag = read.item->revision;
      return;
  }
}

void render_write(const KvRequest& request, const kv::WriteResult& write, Answer& answer) {
  answer.revision = write.revision;
  json::Writer json(answer.body);
  switch (write.kind) {
    case kv::WriteResult::Kind::put:
      answer.etag = write.revision;
      json.begin_object();
      json.bytes_member("key", request.key);
      json.member("revision", write.revision);
      json.member("create_revision", write.create_revision);
      json.member("version", write.version);
      break;
    case kv::WriteResult::Kind::removed:
    case kv::WriteResult::Kind::absent:
      json.begin_object();
      json.member("deleted", write.kind == kv::WriteResult::Kind::removed ? 1u : 0u);
      json.member("revision", write.revision);
      break;
    case kv::WriteResult::Kind::precondition_failed:
      return render_failed_condition(write.current_revision, write.revision, answer);
    case kv::WriteResult::Kind::key_reused:
    case kv::WriteResult::Kind::table_full: VESPER_UNREACHABLE();  // render_kv() has answered
  }
  json.end_object();
  answer.body += '\n';
}

}  // namespace

std::string_view to_string(node::ReadLevel level) {
  switch (level) {
    case node::ReadLevel::linearizable: return "linearizable";
    case node::ReadLevel::lease: return "lease";
    case node::ReadLevel::stale: return "stale";
  }
  VESPER_UNREACHABLE();
}

std::optional<Problem> read_key(std::string_view encoded, HttpExchange& exchange) {
  std::string& key = exchange.request.emplace<KvRequest>().key;
  if (!http::percent_decode(encoded, key))
    return malformed("a % in the key is not followed by two hex digits");
  if (!key.empty() && key.size() <= kv::kMaxKey) return std::nullopt;
  Problem problem{.status = 400, .code = "invalid_key"};
  if (key.empty()) {
    problem.detail = "the key is empty";
    problem.hint = "put a key of 1 to 4096 bytes after /kv/";
  } else {
    problem.detail = fmt::format("the key has {} bytes", key.size());
    problem.limit = kv::kMaxKey;
  }
  return problem;
}

std::optional<Problem> check_kv(const Context& context, const http::RequestHead& head,
                                const Query& query, HttpExchange& exchange) {
  auto& request = std::get<KvRequest>(exchange.request);
  const bool reads = !exchange.is_write();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (parameter.name == "raw" && reads) {
      const auto flag = http::parse_flag(parameter.value);
      if (!flag) return invalid_parameter("raw", "raw is a flag; use ?raw, ?raw=1 or ?raw=0");
      request.raw = *flag;
    } else if (reads && is_read_option(parameter.name)) {
      if (auto problem = read_option(parameter, request.read)) return problem;
    } else {
      return unknown_parameter(parameter);
    }
  }
  if (request.read.max_staleness && request.read.level != node::ReadLevel::stale)
    return invalid_parameter("max_staleness", "max_staleness requires consistency=stale");
  if (auto problem = read_condition(head.fields, "If-Match", false, request.conditions.if_match))
    return problem;
  if (auto problem =
          read_condition(head.fields, "If-None-Match", true, request.conditions.if_none_match))
    return problem;
  if (!reads)
    if (auto problem = read_idempotency_key(head, request.idempotency_key)) return problem;
  if (exchange.method != http::Method::put) return std::nullopt;
  if (auto problem = check_value_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = context.settings().max_value;
  exchange.too_large = "value_too_large";
  return check_length(head, exchange, Length::required);
}

void run_kv(Context& context, HttpExchange& exchange, std::string body) {
  const auto& request = std::get<KvRequest>(exchange.request);
  const Instant deadline = context.now() + exchange.timeout;
  if (!exchange.is_write()) {
    context.post(node::ClientRead{exchange.ticket, request.key, deadline, request.read});
    return;
  }
  const auto id =
      request_id(exchange, request.idempotency_key, "/kv/" + request.key, request.conditions, body);
  const std::string command = exchange.method == http::Method::put
                                  ? kv::encode_put(request.key, body, false, request.conditions, id)
                                  : kv::encode_remove(request.key, request.conditions, id);
  context.post(node::ClientWrite{exchange.ticket, SharedBytes::copy_of(command), deadline});
}

void render_kv(Context&, const HttpExchange& exchange, Answer& answer) {
  struct Render {
    const KvRequest& request;
    Answer& answer;

    void operator()(const node::Refusal& refusal) const {
      render_refusal(refusal, request.idempotency_key, answer);
    }
    void operator()(const node::ReadResult& read) const { render_read(request, read, answer); }
    void operator()(const kv::WriteResult& write) const {
      if (!render_if_not_carried_out(write, answer)) render_write(request, write, answer);
    }
    void operator()(const node::TransferResult&) const { VESPER_UNREACHABLE(); }
  };
  std::visit(Render{std::get<KvRequest>(exchange.request), answer}, exchange.reply());
}

}  // namespace vesper::api
