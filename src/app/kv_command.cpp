#include "app/kv_command.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "app/client_tls.hpp"
#include "app/curl.hpp"
#include "app/endpoints.hpp"
#include "app/query.hpp"
#include "base/bytes.hpp"
#include "crypto/random.hpp"
#include "http/target.hpp"

namespace vesper::app {
namespace {

// The server decides how large a value may be. This limit only keeps an endless pipe from filling
// the memory.
constexpr std::size_t kMaxInput = std::size_t{64} << 20;

}  // namespace

std::string make_idempotency_key() {
  return to_hex(crypto::random128());
}

bool prepare_tls(const TlsFlags& flags, const std::vector<HostPort>& endpoints) {
  set_client_tls(flags);
  const bool is_used = std::any_of(endpoints.begin(), endpoints.end(), [](const HostPort& each) {
    return each.scheme == Scheme::https;
  });
  if (!is_used || client_tls()) return true;
  complain(client_tls().error().what);
  return false;
}

std::optional<std::vector<HostPort>> endpoints_of(const ClusterOptions& options) {
  auto endpoints = find_endpoints(options.endpoints ? &*options.endpoints : nullptr,
                                  std::getenv("VESPER_ENDPOINTS"));
  if (endpoints && prepare_tls(options.tls, *endpoints)) return std::move(*endpoints);
  if (!endpoints) complain(endpoints.error().what);
  return std::nullopt;
}

Called call_kv(const ClusterOptions& options, std::string_view key, Call call) {
  if (key.empty() || key.size() > json::kMaxKey) {
    complain(fmt::format("the key has {} bytes, expected 1 to {}", key.size(), json::kMaxKey));
    return {std::nullopt, kExitUsage};
  }
  if (call.access == Access::write) call.idempotency_key = make_idempotency_key();
  call.path = "/kv/";
  http::percent_encode_path(key, call.path);
  return call_endpoints(options, call);
}

Called call_endpoints(const ClusterOptions& options, const Call& call) {
  if (options.curl) return {std::nullopt, print_curl(options, call)};
  const auto endpoints = endpoints_of(options);
  if (!endpoints) return {std::nullopt, kExitUsage};
  Outcome outcome = call_cluster(*endpoints, call, options.time_limit());
  const bool too_large = outcome.kind == Outcome::Kind::reply && !call.idempotency_key.empty() &&
                         read_problem(outcome.reply.body).code == "reply_too_large";
  if (too_large) {
    Call unkeyed = call;
    unkeyed.idempotency_key.clear();
    outcome = call_cluster(*endpoints, unkeyed, options.time_limit());
  }
  return {std::move(outcome), kExitOk};
}

ListReply get_list(const ClusterOptions& options, std::string_view path, std::string_view list,
                   OutputFormat format) {
  Call call;
  call.method = "GET";
  call.path = path;
  const Called called = call_endpoints(options, call);
  if (!called.outcome) return {std::nullopt, called.exit_code};
  const Outcome& outcome = *called.outcome;
  if (const int code = report(outcome, Access::read, format)) return {std::nullopt, code};
  if (format == OutputFormat::json) return {std::nullopt, print(outcome.reply.body)};
  auto document = parse_reply(outcome);
  if (!document) return {std::nullopt, kExitError};
  if (document->root().find(list).kind() != json::Kind::array)
    return {std::nullopt, complain_of_shape(outcome, list)};
  return {std::move(document), kExitOk};
}

int print_curl(const ClusterOptions& options, const Call& call) {
  const auto endpoints = endpoints_of(options);
  if (!endpoints) return kExitUsage;
  CurlRequest request;
  const std::string timeout =
      options.timeout ? fmt::format("{}ms", options.timeout->ms()) : std::string();
  const std::string target = target_of(call, timeout);
  request.method = call.method;
  request.target = target;
  request.is_endless = call.is_endless;
  if (!call.body_file.empty()) request.body = CurlRequest::Body::file;
  else if (call.body) request.body = CurlRequest::Body::text;
  const std::string body = call.body.value_or("");
  request.text_or_file = call.body_file.empty() ? body : call.body_file;
  return print(curl_command(endpoints->front(), options.tls, request) + "\n");
}

int load_body(const ClusterOptions& options, const InputOptions& input, Call& call) {
  if (input.text && *input.text != "-") {
    call.body = *input.text;
    return kExitOk;
  }
  call.body_file = input.file.value_or("-");
  if (options.curl) return kExitOk;
  auto bytes = read_file(call.body_file, kMaxInput);
  if (!bytes) {
    complain(bytes.error().what);
    return kExitError;
  }
  call.body = std::move(*bytes);
  return kExitOk;
}

std::optional<json::Document> parse_reply(const Outcome& outcome) {
  // A page of a range is larger than what the server accepts as JSON.
  const json::Document::Limits limits{kMaxReply, json::kMaxDepth, std::size_t{1} << 22};
  json::Document document;
  if (!document.parse(outcome.reply.body, limits)) return document;
  complain(fmt::format("{}: the reply is not JSON", outcome.detail));
  return std::nullopt;
}

int complain_of_shape(const Outcome& outcome, std::string_view missing) {
  complain(fmt::format("{}: the reply has no \"{}\"", outcome.detail, missing));
  return kExitError;
}

int print_reply(const Outcome& outcome, OutputFormat format,
                const std::vector<std::string_view>& columns, std::string_view raw,
                std::string_view lost_hint) {
  if (format == OutputFormat::json) return print(outcome.reply.body, kExitOk, lost_hint);
  const auto document = parse_reply(outcome);
  if (!document) return kExitError;
  const json::Value root = document->root();
  if (!root.find(raw).exists()) return complain_of_shape(outcome, raw);
  if (format == OutputFormat::raw)
    return print(cell(root.find(raw)).text + "\n", kExitOk, lost_hint);
  Row header, row;
  for (const std::string_view name : columns) {
    header.emplace_back(std::string(name));
    const auto bytes = bytes_of(root, name);
    row.push_back(bytes ? Cell::of_bytes(*bytes) : cell(root.find(name)));
  }
  return print(make_table(std::move(header), {row}), kExitOk, lost_hint);
}

int print_outcome(const Called& called, const ClusterOptions& options, Access access,
                  const std::vector<std::string_view>& columns, std::string_view raw) {
  if (!called.outcome) return called.exit_code;
  const OutputFormat format = options.output.value_or(OutputFormat::raw);
  if (const int code = report(*called.outcome, access, format)) return code;
  return print_reply(*called.outcome, format, columns, raw,
                     access == Access::write ? kTookEffect : std::string_view());
}

int run_pages(const ClusterOptions& options, const Pages& pages, Row header,
              const std::function<Row(const json::Value&)>& row_of) {
  const OutputFormat format = table_on_terminal(options);
  Table table(std::move(header), stdout_colours());
  std::string next;
  do {
    Query query(pages.query);
    if (!next.empty()) query.add("next", next);
    Call call;
    call.method = "GET";
    call.path = fmt::format("/{}", pages.name);
    call.query = query.text();
    const Called called = call_endpoints(options, call);
    if (!called.outcome) return called.exit_code;
    const Outcome& outcome = *called.outcome;
    if (const int code = report(outcome, Access::read, format)) return code;
    const auto document = parse_reply(outcome);
    if (!document) return kExitError;
    const json::Value entries = document->root().find(pages.name);
    if (entries.kind() != json::Kind::array) return complain_of_shape(outcome, pages.name);
    std::vector<Row> rows;
    for (const auto& element : entries) rows.push_back(row_of(element.value));
    const std::string text = format == OutputFormat::json    ? outcome.reply.body
                             : format == OutputFormat::table ? table.lines(rows)
                                                             : make_tabbed(rows);
    if (const int code = print(text)) return code;
    next = document->root().find("next").string().value_or("");
  } while (!next.empty());
  return kExitOk;
}

OutputFormat table_on_terminal(const ClusterOptions& options) {
  return options.output.value_or(is_terminal(STDOUT_FILENO) ? OutputFormat::table
                                                            : OutputFormat::raw);
}

}  // namespace vesper::app
