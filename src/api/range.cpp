#include "api/range.hpp"

#include <fmt/core.h>

#include <utility>

#include "api/answer.hpp"
#include "api/bulk_import.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/page_token.hpp"
#include "api/range_lines.hpp"
#include "api/read_options.hpp"
#include "api/render.hpp"
#include "base/checksum.hpp"
#include "http/target.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
namespace {

constexpr std::uint64_t kParameterSeed = 0x2d0b7a5f94c1e863;

// ---- which keys

// The parameters that name a range, as they came.
struct Bounds {
  std::optional<std::string> prefix, start, end;

  bool empty() const { return !prefix && !start && !end; }
};

bool is_bound(std::string_view name) {
  return name == "prefix" || name == "start" || name == "end";
}

std::optional<Problem> read_bound(const http::QueryParameter& parameter, Bounds& bounds) {
  if (auto problem = check_bound(parameter)) return problem;
  (parameter.name == "prefix"  ? bounds.prefix
   : parameter.name == "start" ? bounds.start
                               : bounds.end) = parameter.value;
  return std::nullopt;
}

std::optional<Problem> make_range(const Bounds& bounds, kv::KeyRange& range) {
  if (bounds.prefix) {
    if (bounds.start || bounds.end)
      return invalid_parameter(bounds.start ? "start" : "end",
                               "a range has either a prefix, or start and end");
    range = kv::KeyRange::of_prefix(*bounds.prefix);
    return std::nullopt;
  }
  range = {bounds.start.value_or(""), bounds.end.value_or("")};
  if (range.is_empty()) return invalid_parameter("end", "end must be above start");
  return std::nullopt;
}

// ---- reads

struct GetParameters {
  Bounds bounds;
  std::optional<std::uint64_t> limit;
  std::optional<std::string> format;
  bool reverse = false, keys_only = false, count_only = false;
};

std::optional<Problem> read_separator(const http::QueryParameter& parameter,
                                      std::string& separator) {
  separator = parameter.value;
  if (!separator.empty() && separator.size() <= kv::kMaxSeparator) return std::nullopt;
  return invalid_parameter(
      "separator", fmt::format("separator must be 1 to {} bytes, such as /", kv::kMaxSeparator));
}

std::optional<Problem> read_limit(const http::QueryParameter& parameter,
                                  std::optional<std::uint64_t>& limit) {
  limit = http::parse_decimal(parameter.value);
  if (limit && *limit != 0 && *limit < kEndOfRevisions) return std::nullopt;
  return invalid_parameter("limit", fmt::format("limit must be a whole number from 1 to {}; with "
                                                "format=ndjson it has no upper bound",
                                                kMaxLimit));
}

std::optional<Problem> read_format(const http::QueryParameter& parameter,
                                   std::optional<std::string>& format) {
  format = parameter.value;
  if (format == "json" || format == "ndjson") return std::nullopt;
  return invalid_parameter("format", "format must be json or ndjson");
}

std::optional<Problem> read_get_parameter(const http::QueryParameter& parameter,
                                          HttpExchange& exchange, GetParameters& parameters,
                                          RangeRequest& request) {
  const std::string& name = parameter.name;
  if (is_bound(name)) return read_bound(parameter, parameters.bounds);
  if (name == "limit") return read_limit(parameter, parameters.limit);
  if (name == "format") return read_format(parameter, parameters.format);
  if (name == "reverse") return read_flag(parameter, parameters.reverse);
  if (name == "keys_only") return read_flag(parameter, parameters.keys_only);
  if (name == "count_only") return read_flag(parameter, parameters.count_only);
  if (name == "separator") return read_separator(parameter, request.query.separator);
  if (name == "revision") return read_revision(parameter, request.query.revision);
  if (name == "timeout") return read_timeout(parameter, exchange);
  if (is_read_option(name)) return read_option(parameter, request.options);
  if (is_wait_parameter(name)) return read_wait_parameter(parameter, request.wait);
  if (name == "next") return read_next_parameter(parameter, request.next);
  return unknown_parameter(parameter);
}

// A count is one number: nothing that chooses among the keys makes sense beside it.
std::optional<Problem> check_count(const GetParameters& parameters, const RangeRequest& request) {
  const std::pair<std::string_view, bool> others[] = {
      {"keys_only", parameters.keys_only}, {"limit", parameters.limit.has_value()},
      {"reverse", parameters.reverse},     {"separator", !request.query.separator.empty()},
      {"next", !request.next.empty()},     {"format", parameters.format == "ndjson"}};
  for (const auto& [name, is_set] : others)
    if (is_set) return invalid_parameter(name, fmt::format("{} conflicts with count_only", name));
  return std::nullopt;
}

std::optional<Problem> choose_form(const GetParameters& parameters, const http::RequestHead& head,
                                   const HttpExchange& exchange, RangeRequest& request) {
  using Form = RangeRequest::Form;
  if (parameters.format) {
    if (parameters.format == "ndjson") request.form = Form::lines;
  } else if (!parameters.count_only) {
    request.accept_decides = true;
    if (prefers_lines(head, "application/json") && exchange.method != http::Method::head)
      request.form = Form::lines;
  }
  if (request.form == Form::page) return std::nullopt;
  if (exchange.method == http::Method::head)
    return Problem{.status = 405,
                   .code = "method_not_allowed",
                   .detail = "HEAD does not work for a stream of lines",
                   .hint = "leave out format=ndjson",
                   .allow = "GET, DELETE, POST, OPTIONS"};
  if (request.next.empty()) return std::nullopt;
  return invalid_parameter("next", "next works with format=json only: a stream has one page");
}

std::optional<Problem> check_get(const http::RequestHead& head, const Query& query,
                                 HttpExchange& exchange) {
  auto& request = exchange.request.emplace<RangeRequest>();
  GetParameters parameters;
  for (const http::QueryParameter& parameter : query)
    if (auto problem = read_get_parameter(parameter, exchange, parameters, request)) return problem;
  if (auto problem = make_range(parameters.bounds, request.query.range)) return problem;
  if (auto problem = check_read_options(request.options)) return problem;
  if (auto problem = check_wait(request.wait, exchange)) return problem;
  if (request.wait.wait && (request.query.revision != 0 || !request.next.empty()))
    return invalid_parameter("wait", fmt::format("wait and {} exclude each other",
                                                 request.next.empty() ? "revision" : "next"));
  if (parameters.count_only)
    if (auto problem = check_count(parameters, request)) return problem;
  if (auto problem = choose_form(parameters, head, exchange, request)) return problem;
  if (auto problem = refuse_conditions(head)) return problem;

  kv::RangeQuery& range = request.query;
  if (parameters.bounds.prefix) range.prefix_size = parameters.bounds.prefix->size();
  if (parameters.reverse) range.order = kv::Order::descending;
  if (parameters.keys_only) range.content = kv::Content::keys;
  if (parameters.count_only) range.content = kv::Content::count;
  wait_for_revision(range.revision, request.options);
  if (request.form == RangeRequest::Form::lines) {
    range.limit = static_cast<std::size_t>(parameters.limit.value_or(0));
    return std::nullopt;
  }
  range.limit = static_cast<std::size_t>(parameters.limit.value_or(kDefaultLimit));
  if (range.limit <= kMaxLimit) return std::nullopt;
  Problem problem = invalid_parameter(
      "limit", fmt::format("limit must be 1 to {}, except with format=ndjson", kMaxLimit));
  problem.limit = kMaxLimit;
  return problem;
}

// What all pages of a range have in common: the parameters, except those that say how to read.
PageScope scope_of(const Context& context, const kv::RangeQuery& query) {
  std::string bytes;
  ByteWriter writer(bytes);
  writer.string(query.range.start);
  writer.string(query.range.end);
  writer.u64(query.revision);
  writer.u64(query.limit);
  writer.u8(query.order == kv::Order::descending ? 1 : 0);
  writer.u8(query.content == kv::Content::keys ? 1 : 0);
  writer.u64(query.prefix_size);
  writer.string(query.separator);
  return {context.cluster_id(), checksum64(bytes, kParameterSeed)};
}

// Moves `range` to where the token says. False if the token lies outside of it.
bool resume_at(const std::string& bound, kv::Order order, kv::KeyRange& range) {
  if (bound <= range.start || (!range.is_to_the_end() && bound >= range.end)) return false;
  (order == kv::Order::ascending ? range.start : range.end) = bound;
  return true;
}

std::optional<Problem> apply_token(const Context& context, const RangeRequest& request,
                                   node::ClientRead& read) {
  PageToken token;
  if (auto problem =
          read_page_token(context, request.next, scope_of(context, request.query), token))
    return problem;
  auto& range = std::get<node::ReadRange>(read.query);
  if (!resume_at(token.resume, request.query.order, range.query.range))
    return invalid_parameter("next", "next is refused: it lies outside of the range");
  range.query.revision = token.revision;
  range.known_count = token.count;
  wait_for_revision(token.revision, read.options);
  return std::nullopt;
}

void run_get(Context& context, HttpExchange& exchange) {
  const auto& request = std::get<RangeRequest>(exchange.request);
  const auto form = request.form == RangeRequest::Form::lines ? node::ReadRange::Form::stream
                                                              : node::ReadRange::Form::page;
  node::ClientRead read{exchange.ticket,
                        node::ReadRange{request.query, form, std::nullopt},
                        context.now() + exchange.timeout,
                        request.options,
                        change_wait(context, request.wait, request.query.range),
                        nullptr,
                        {}};
  if (!request.next.empty()) {
    if (auto problem = apply_token(context, request, read)) {
      exchange.outcome = std::move(*problem);
      return;
    }
  }
  post_read(context, exchange, std::move(read));
}

// About the size of the page as JSON.
std::size_t size_of(const kv::RangeResult& page) {
  constexpr std::size_t kRest = 96;  // names, numbers and punctuation
  std::size_t size = kRest * (page.kvs.size() + 2);
  for (const kv::VersionRef& version : page.kvs) {
    size += version->key().size();
    if (page.content == kv::Content::values) size += version->value().size();
  }
  for (const std::string& prefix : page.prefixes) size += prefix.size() + 3;
  return size;
}

// {"kvs":[...],"prefixes":[...],"count":N,"revision":N,"next":"..."}; for a count only
// {"count":N,"revision":N}.
void render_page(const Context& context, const RangeRequest& request, const node::RangeFound& found,
                 kv::LogTime now, Answer& answer) {
  const kv::RangeResult& page = found.page;
  answer.body.reserve(size_of(page));
  json::Writer json(answer.body);
  json.begin_object();
  if (request.query.content != kv::Content::count) {
    json.key("kvs");
    json.begin_array();
    for (const kv::VersionRef& version : page.kvs)
      append_version(json, *version, request.query.content, now);
    json.end_array();
  }
  if (!request.query.separator.empty()) append_prefixes(json, page.prefixes);
  json.member("count", page.count);
  json.member("revision", found.revision);
  if (page.more && request.query.content != kv::Content::count) {
    const PageToken token{.revision = found.revision, .count = page.count, .resume = page.resume};
    json.member("next", encode_page_token(token, scope_of(context, request.query)));
  }
  json.end_object();
  answer.body += '\n';
}

void render_get(const Context& context, const RangeRequest& request, const node::ReadResult& read,
                Answer& answer) {
  render_read_head(read, answer);
  answer.varies = request.accept_decides;
  struct Render {
    const Context& context;
    const RangeRequest& request;
    kv::LogTime now;
    Answer& answer;

    void operator()(const node::RangeFound& found) const {
      render_page(context, request, found, now, answer);
    }
    void operator()(const node::StreamFound& found) const {
      answer.content_type = kNdjson;
      answer.stream = std::make_unique<RangeLines>(*found.stream, request.query, now);
    }
    void operator()(const node::RevisionUnreadable& unreadable) const {
      render_problem(api::unreadable(unreadable, request.next.empty() ? "revision" : "next"),
                     answer);
    }
    void operator()(const node::KeyFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::HistoryFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const kv::WriteResult&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LeaseFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LeasesFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LockFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::LocksFound&) const { VESPER_UNREACHABLE(); }
    void operator()(const node::AccessIsFresh&) const { VESPER_UNREACHABLE(); }
  };
  std::visit(Render{context, request, read.log_time, answer}, read.content);
}

// ---- deletes

std::optional<Problem> check_delete(const http::RequestHead& head, const Query& query,
                                    HttpExchange& exchange) {
  auto& request = exchange.request.emplace<RangeDeleteRequest>();
  Bounds bounds;
  bool all = false, prev = false;
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (is_bound(parameter.name)) problem = read_bound(parameter, bounds);
    else if (parameter.name == "all") problem = read_flag(parameter, all);
    else if (parameter.name == "prev") problem = read_flag(parameter, prev);
    else if (parameter.name == "fence") problem = read_fence(parameter, request.fence);
    else if (parameter.name == "timeout") problem = read_timeout(parameter, exchange);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  if (auto problem = make_range(bounds, request.range)) return problem;
  const bool names_keys = request.range != kv::KeyRange::all();
  if (all && names_keys)
    return invalid_parameter("all", "all conflicts with prefix, start and end");
  if (!all && !names_keys) {
    Problem problem = invalid_parameter(
        "prefix", bounds.prefix ? "prefix is empty" : "a prefix or a range is required");
    problem.hint = "to delete all keys, use ?all";
    return problem;
  }
  if (prev) request.prev = kv::Prev::include;
  if (auto problem = refuse_conditions(head)) return problem;
  return read_idempotency_key(head, request.idempotency_key);
}

// What identifies the request besides its method: see request_id().
std::string target_of(const RangeDeleteRequest& request) {
  std::string target = "/kv?start=";
  http::percent_encode_query(request.range.start, target);
  target += "&end=";
  http::percent_encode_query(request.range.end, target);
  if (request.prev == kv::Prev::include) target += "&prev";
  if (request.fence) target += "&" + text_of(*request.fence);
  return target;
}

void run_delete(Context& context, HttpExchange& exchange) {
  const auto& request = std::get<RangeDeleteRequest>(exchange.request);
  const auto id = request_id(exchange, request.idempotency_key, target_of(request), {}, {});
  post_write(
      context, exchange,
      kv::encode(kv::Conditions(), kv::Delete{request.range, request.prev}, id, request.fence));
}

void render_delete(const RangeDeleteRequest& request, const kv::WriteResult& write,
                   Answer& answer) {
  if (render_if_refused(write, {}, answer)) return;
  json::Writer json(answer.body);
  append_delete(json, std::get<kv::DeleteResult>(write.result), {write.revision, write.time},
                request.prev == kv::Prev::include ? PrevForm::array : PrevForm::object);
  answer.body += '\n';
}

}  // namespace

std::optional<Problem> check_range(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange) {
  if (exchange.method == http::Method::post)
    return check_bulk_import(context, head, query, exchange);
  if (exchange.method == http::Method::delete_) return check_delete(head, query, exchange);
  return check_get(head, query, exchange);
}

void run_range(Context& context, HttpExchange& exchange, std::string) {
  if (exchange.method == http::Method::delete_) run_delete(context, exchange);
  else run_get(context, exchange);
}

void render_range(Context& context, const HttpExchange& exchange, Answer& answer) {
  if (exchange.stream != nullptr) return render_bulk_import(exchange, answer);
  const auto* remove = std::get_if<RangeDeleteRequest>(&exchange.request);
  render_reply(
      exchange.reply(), remove == nullptr ? std::string_view() : remove->idempotency_key, answer,
      [&](const node::ReadResult& read) {
        if (read.unchanged) render_unchanged(read, answer);
        else render_get(context, std::get<RangeRequest>(exchange.request), read, answer);
      },
      [&](const kv::WriteResult& write) { render_delete(*remove, write, answer); });
}

}  // namespace vesper::api
