#include "api/kv.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "api/render.hpp"
#include "http/conditions.hpp"
#include "http/grammar.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"
#include "kv/operation.hpp"

namespace vesper::api {
namespace {

using ModifyKind = kv::Modify::Kind;

// A history ends before it holds more bytes of values, except that it has at least one version.
constexpr std::size_t kMaxHistoryBytes = 8u << 20;

// ---- parameters

std::optional<Problem> read_get(const Query& query, HttpExchange& exchange, KvRequest& request) {
  KvGet get;
  bool history = false;
  std::size_t limit = 0;  // 0: none was given
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (parameter.name == "timeout") problem = read_timeout(parameter, exchange);
    else if (parameter.name == "raw") problem = read_flag(parameter, get.raw);
    else if (parameter.name == "history") problem = read_flag(parameter, history);
    else if (parameter.name == "revision") problem = read_revision(parameter, get.revision);
    else if (parameter.name == "limit") problem = read_limit(parameter, limit);
    else if (is_read_option(parameter.name)) problem = read_option(parameter, get.options);
    else if (is_wait_parameter(parameter.name)) problem = read_wait_parameter(parameter, get.wait);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  if (auto problem = check_read_options(get.options)) return problem;
  if (auto problem = check_wait(get.wait, exchange)) return problem;
  if (get.wait.wait && (history || get.revision != 0))
    return invalid_parameter(
        "wait", fmt::format("wait and {} exclude each other", history ? "history" : "revision"));
  if (!history) {
    if (limit != 0) return invalid_parameter("limit", "limit requires history");
    wait_for_revision(get.revision, get.options);
    request.action = get;
    return std::nullopt;
  }
  if (get.raw) return invalid_parameter("raw", "raw and history exclude each other");
  if (get.revision != 0)
    return invalid_parameter("revision", "revision and history exclude each other");
  request.action = KvHistory{get.options, limit != 0 ? limit : kDefaultLimit};
  return std::nullopt;
}

std::optional<Problem> read_prev(const http::QueryParameter& parameter, kv::Prev& prev) {
  bool flag = false;
  if (auto problem = read_flag(parameter, flag)) return problem;
  if (flag) prev = kv::Prev::include;
  return std::nullopt;
}

std::optional<Problem> read_lease(const http::QueryParameter& parameter, std::uint64_t& lease) {
  const auto id = http::parse_decimal(parameter.value);
  if (!id || *id == 0)
    return invalid_parameter(parameter.name, "lease must be the id of a lease, a decimal number");
  lease = *id;
  return std::nullopt;
}

// What every write takes.
std::optional<Problem> read_common(const http::QueryParameter& parameter, HttpExchange& exchange,
                                   KvRequest& request) {
  if (parameter.name == "timeout") return read_timeout(parameter, exchange);
  if (parameter.name == "fence") return read_fence(parameter, request.fence);
  return unknown_parameter(parameter);
}

std::optional<Problem> read_put(const Query& query, HttpExchange& exchange, KvRequest& request) {
  KvPut put;
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (parameter.name == "prev") problem = read_prev(parameter, put.prev);
    else if (parameter.name == "ttl") problem = read_ttl(parameter, put.ttl);
    else if (parameter.name == "lease") problem = read_lease(parameter, put.lease);
    else if (parameter.name == "keep_ttl") problem = read_flag(parameter, put.keep_ttl);
    else problem = read_common(parameter, exchange, request);
    if (problem) return problem;
  }
  request.action = put;
  if (put.lease != 0 && put.ttl.ns != 0)
    return invalid_parameter("ttl", "ttl and lease exclude each other");
  if (put.keep_ttl && (put.lease != 0 || put.ttl.ns != 0))
    return invalid_parameter("keep_ttl", "keep_ttl excludes ttl and lease");
  return std::nullopt;
}

std::optional<Problem> read_delete(const Query& query, HttpExchange& exchange, KvRequest& request) {
  auto& remove = request.action.emplace<KvDelete>();
  for (const http::QueryParameter& parameter : query) {
    auto problem = parameter.name == "prev" ? read_prev(parameter, remove.prev)
                                            : read_common(parameter, exchange, request);
    if (problem) return problem;
  }
  return std::nullopt;
}

constexpr std::pair<std::string_view, ModifyKind> kModifications[] = {
    {"increment", ModifyKind::increment},
    {"append", ModifyKind::append},
    {"min", ModifyKind::min},
    {"max", ModifyKind::max},
};

const ModifyKind* find_modification(std::string_view name) {
  for (const auto& [known, kind] : kModifications)
    if (known == name) return &kind;
  return nullptr;
}

std::string_view name_of(ModifyKind kind) {
  for (const auto& [name, known] : kModifications)
    if (known == kind) return name;
  VESPER_UNREACHABLE();
}

std::optional<Problem> read_operand(const http::QueryParameter& parameter, ModifyKind kind,
                                    std::int64_t& operand) {
  if (kind == ModifyKind::increment && !parameter.has_value) {
    operand = 1;
    return std::nullopt;
  }
  if (kv::parse_integer(parameter.value, operand)) return std::nullopt;
  return invalid_parameter(
      parameter.name,
      fmt::format("{} must be an integer from -2^63 to 2^63 - 1, such as 5 or -3", parameter.name));
}

// The part of a POST that says what is done. Leaves `action` unset if the parameter is `append=0`.
std::optional<Problem> read_operation(const http::QueryParameter& parameter,
                                      std::optional<decltype(KvRequest::action)>& action) {
  if (parameter.name == "restore") {
    KvRestore restore;
    if (auto problem = read_revision(parameter, restore.revision)) return problem;
    action = restore;
    return std::nullopt;
  }
  const ModifyKind* kind = find_modification(parameter.name);
  if (kind == nullptr) return unknown_parameter(parameter);
  KvModify modify{*kind};
  if (*kind == ModifyKind::append) {
    bool append = false;
    if (auto problem = read_flag(parameter, append)) {
      problem->hint = "put the suffix into the body";
      return problem;
    }
    if (append) action = modify;
    return std::nullopt;
  }
  if (auto problem = read_operand(parameter, *kind, modify.operand)) return problem;
  action = modify;
  return std::nullopt;
}

std::optional<Problem> read_post(const Query& query, HttpExchange& exchange, KvRequest& request) {
  std::optional<decltype(KvRequest::action)> action;
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout" || parameter.name == "fence") {
      if (auto problem = read_common(parameter, exchange, request)) return problem;
      continue;
    }
    std::optional<decltype(KvRequest::action)> found;
    if (auto problem = read_operation(parameter, found)) return problem;
    if (found && action)
      return invalid_parameter(parameter.name,
                               "POST takes only one of increment, append, min, max and restore");
    if (found) action = found;
  }
  if (!action) {
    Problem problem = invalid_parameter(
        "increment", "POST requires one of increment, append, min, max and restore");
    problem.hint = "to store a value, use PUT: with curl, -X PUT -d VALUE";
    return problem;
  }
  request.action = *action;
  return std::nullopt;
}

std::optional<Problem> read_parameters(const Query& query, HttpExchange& exchange,
                                       KvRequest& request) {
  if (exchange.method == http::Method::post) return read_post(query, exchange, request);
  if (exchange.method == http::Method::put) return read_put(query, exchange, request);
  if (exchange.method == http::Method::delete_) return read_delete(query, exchange, request);
  return read_get(query, exchange, request);
}

// ---- header fields

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

// True if the body is the value or a part of it.
bool takes_body(const KvRequest& request) {
  if (std::holds_alternative<KvPut>(request.action)) return true;
  const auto* modify = std::get_if<KvModify>(&request.action);
  return modify != nullptr && modify->kind == ModifyKind::append;
}

// ---- writes

// What identifies the request besides method, conditions and body (see request_id). The target of a
// plain put or delete begins with a slash, and that of any other write with a question mark, so
// that no key makes two of them equal.
std::string target_of(const KvRequest& request) {
  struct Parameters {
    std::string operator()(const KvPut& put) const {
      std::string text = prev(put.prev);
      if (put.keep_ttl) text += "keep_ttl&";
      if (put.lease != 0) text += fmt::format("lease={}&", put.lease);
      if (put.ttl.ns != 0) text += fmt::format("ttl={}ms&", put.ttl.ms());
      return text;
    }
    std::string operator()(const KvDelete& remove) const { return prev(remove.prev); }
    std::string operator()(const KvModify& modify) const {
      if (modify.kind == ModifyKind::append) return "append&";
      return fmt::format("{}={}&", name_of(modify.kind), modify.operand);
    }
    std::string operator()(const KvRestore& restore) const {
      return fmt::format("restore={}&", restore.revision);
    }
    std::string operator()(const KvGet&) const { VESPER_UNREACHABLE(); }
    std::string operator()(const KvHistory&) const { VESPER_UNREACHABLE(); }

    static std::string prev(kv::Prev prev) { return prev == kv::Prev::include ? "prev&" : ""; }
  };
  std::string parameters = std::visit(Parameters(), request.action);
  if (request.fence) parameters += text_of(*request.fence) + "&";
  const std::string path = "/kv/" + request.key;
  return parameters.empty() ? path : "?" + parameters + path;
}

std::string encode(const KvRequest& request, const std::string& body,
                   const std::optional<kv::IdempotencyKey>& id) {
  struct Encode {
    const KvRequest& request;
    const std::string& body;
    const std::optional<kv::IdempotencyKey>& id;

    std::string operator()(const KvPut& put) const {
      const bool is_plain = put.prev == kv::Prev::omit && !put.keep_ttl && put.lease == 0 &&
                            put.ttl.ns == 0 && !request.fence;
      if (is_plain)
        return kv::encode_put(request.key, body, kv::ValueForm::bytes, request.conditions, id);
      kv::Put operation{.key = key(), .value = SharedBytes::copy_of(body)};
      operation.prev = put.prev;
      operation.keep_lease = put.keep_ttl;
      operation.lease = put.lease;
      operation.ttl = put.ttl;
      return operation_bytes(std::move(operation));
    }
    std::string operator()(const KvDelete& remove) const {
      if (remove.prev == kv::Prev::omit && !request.fence)
        return kv::encode_remove(request.key, request.conditions, id);
      return operation_bytes(kv::Delete{kv::KeyRange::of_key(request.key), remove.prev});
    }
    std::string operator()(const KvModify& modify) const {
      kv::Modify operation{modify.kind, key(), modify.operand, {}};
      if (modify.kind == ModifyKind::append) operation.suffix = SharedBytes::copy_of(body);
      return operation_bytes(std::move(operation));
    }
    std::string operator()(const KvRestore& restore) const {
      return operation_bytes(kv::Restore{key(), restore.revision});
    }
    std::string operator()(const KvGet&) const { VESPER_UNREACHABLE(); }
    std::string operator()(const KvHistory&) const { VESPER_UNREACHABLE(); }

    SharedBytes key() const { return SharedBytes::copy_of(request.key); }
    std::string operation_bytes(kv::Operation operation) const {
      return kv::encode(request.conditions, operation, id, request.fence);
    }
  };
  return std::visit(Encode{request, body, id}, request.action);
}

// ---- answers

void render_version(const KvGet& get, const kv::Version& version, kv::LogTime now, Answer& answer) {
  answer.etag = version.revision();
  if (get.raw) {
    answer.content_type = "application/octet-stream";
    answer.shared = version.share_value();
    return;
  }
  json::Writer json(answer.body);
  append_version(json, version, kv::Content::values, now);
  answer.body += '\n';
}

void render_found(const KvRequest& request, const KvGet& get, const kv::Version* version,
                  const Moment& moment, Answer& answer) {
  if (version == nullptr) return render_problem(key_not_found(moment.revision), answer);
  switch (kv::evaluate(request.conditions, version)) {
    case kv::Verdict::holds: return render_version(get, *version, moment.time, answer);
    case kv::Verdict::if_match_failed:
      return render_problem(precondition_failed(version->revision(), moment.revision), answer);
    case kv::Verdict::if_none_match_failed:
      answer.status = 304;
      answer.content_type = {};
      answer.etag = version->revision();
      return;
  }
}

// How many of the versions the answer shows.
std::size_t shown_versions(const std::vector<kv::VersionRef>& versions, std::size_t limit) {
  std::size_t count = 0, bytes = 0;
  for (const kv::VersionRef& version : versions) {
    bytes += version->value().size();
    if (count == limit || (count != 0 && bytes > kMaxHistoryBytes)) break;
    ++count;
  }
  return count;
}

// {"key","versions":[{"revision","create_revision","version","value"} |
// {"revision","deleted":true},
// ...],"oldest_revision"}, and "more":true if there are older versions that are readable.
void render_history(const KvRequest& request, const KvHistory& history,
                    const node::HistoryFound& found, const Moment& moment, Answer& answer) {
  if (found.versions.empty()) return render_problem(key_not_found(moment.revision), answer);
  const std::size_t shown = shown_versions(found.versions, history.limit);
  json::Writer json(answer.body);
  json.begin_object();
  json.bytes_member("key", request.key);
  json.key("versions");
  json.begin_array();
  for (std::size_t i = 0; i < shown; ++i) {
    const kv::Version& version = *found.versions[i];
    json.begin_object();
    if (version.is_tombstone()) {
      json.member("revision", version.revision());
      json.member("deleted", true);
    } else {
      append_version_members(json, version, kv::Content::values, moment.time);
    }
    json.end_object();
  }
  json.end_array();
  if (shown < found.versions.size()) {
    json.member("more", true);
  }
  json.member("oldest_revision", found.oldest_revision);
  json.end_object();
  answer.body += '\n';
}

void render_read(const KvRequest& request, const node::ReadResult& read, Answer& answer) {
  struct Render {
    const KvRequest& request;
    const Moment moment;
    Answer& answer;

    void operator()(const node::KeyFound& found) const {
      const auto& get = std::get<KvGet>(request.action);
      render_found(request, get, found.version.get(), moment, answer);
    }
    void operator()(const node::HistoryFound& found) const {
      render_history(request, std::get<KvHistory>(request.action), found, moment, answer);
    }
    void operator()(const node::RevisionUnreadable& unreadable) const {
      render_problem(api::unreadable(unreadable, "revision"), answer);
    }
    void operator()(const node::RangeFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::StreamFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const kv::WriteResult&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LeaseFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LeasesFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LockFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LocksFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::AccessIsFresh&) const { VESPER_UNREACHABLE(); }
  };
  render_read_head(read, answer);
  std::visit(Render{request, {read.revision, read.log_time}, answer}, read.content);
}

void render_write(const KvRequest& request, const kv::WriteResult& write, Answer& answer) {
  const bool restores = std::holds_alternative<KvRestore>(request.action);
  if (render_if_refused(write, restores ? "restore" : "revision", answer)) return;
  json::Writer json(answer.body);
  // A restore of an absent key is a delete.
  if (const auto* put = std::get_if<kv::PutResult>(&write.result)) {
    answer.etag = put->revision;
    append_put(json, *put, request.key, write.time);
  } else {
    append_delete(json, std::get<kv::DeleteResult>(write.result), {write.revision, write.time},
                  PrevForm::object);
  }
  answer.body += '\n';
}

}  // namespace

std::optional<Problem> read_key(std::string_view encoded, HttpExchange& exchange) {
  return read_name(encoded, "key", "/kv/", exchange.request.emplace<KvRequest>().key);
}

std::optional<Problem> check_kv(const Context& context, const http::RequestHead& head,
                                const Query& query, HttpExchange& exchange) {
  auto& request = std::get<KvRequest>(exchange.request);
  if (auto problem = read_parameters(query, exchange, request)) return problem;
  if (std::holds_alternative<KvHistory>(request.action)) return refuse_conditions(head);
  if (auto problem = read_condition(head.fields, "If-Match", false, request.conditions.if_match))
    return problem;
  if (auto problem =
          read_condition(head.fields, "If-None-Match", true, request.conditions.if_none_match))
    return problem;
  if (exchange.is_write())
    if (auto problem = read_idempotency_key(head, request.idempotency_key)) return problem;
  if (!takes_body(request)) return std::nullopt;
  if (auto problem = check_value_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = context.settings().max_value;
  exchange.too_large = "value_too_large";
  return check_length(head, exchange, Length::required);
}

void run_kv(Context& context, HttpExchange& exchange, std::string body) {
  const auto& request = std::get<KvRequest>(exchange.request);
  if (const auto* get = std::get_if<KvGet>(&request.action))
    return post_read(context, exchange, node::ReadKey{request.key, get->revision}, get->options,
                     change_wait(context, get->wait, kv::KeyRange::of_key(request.key)));
  // One more than is shown, to see whether there are more.
  if (const auto* history = std::get_if<KvHistory>(&request.action))
    return post_read(context, exchange, node::ReadHistory{request.key, history->limit + 1},
                     history->options);
  std::optional<kv::IdempotencyKey> id;
  if (!request.idempotency_key.empty())
    id =
        request_id(exchange, request.idempotency_key, target_of(request), request.conditions, body);
  post_write(context, exchange, encode(request, body, id));
}

void render_kv(Context&, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<KvRequest>(exchange.request);
  render_reply(
      exchange.reply(), request.idempotency_key, answer,
      [&](const node::ReadResult& read) {
        if (read.unchanged) render_unchanged(read, answer);
        else render_read(request, read, answer);
      },
      [&](const kv::WriteResult& write) { render_write(request, write, answer); });
}

}  // namespace vesper::api
