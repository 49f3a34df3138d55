#include "api/page.hpp"

#include <algorithm>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/http_exchange.hpp"
#include "http/grammar.hpp"
#include "http/values.hpp"
#include "ui/files.hpp"

namespace vesper::api {
namespace {

// The page loads nothing from elsewhere, runs no inline script, cannot be framed, and cannot turn
// text into markup (Trusted Types), whatever a key or a value holds.
#define VESPER_PAGE_FIELDS                                                                    \
  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "        \
  "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors " \
  "'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n"                      \
  "Referrer-Policy: no-referrer\r\n"                                                          \
  "Vary: Accept-Encoding\r\n"
constexpr std::string_view kPlainFields = VESPER_PAGE_FIELDS;
constexpr std::string_view kGzipFields = VESPER_PAGE_FIELDS "Content-Encoding: gzip\r\n";
#undef VESPER_PAGE_FIELDS

const ui::File* find_file(std::string_view name) {
  for (const ui::File& file : ui::files())
    if (file.name == name) return &file;
  return nullptr;
}

// True if If-None-Match names this representation (RFC 9110 §13.1.2: tags compare weakly).
bool is_known(const http::EntityTags& known, std::uint64_t tag) {
  const auto has = [tag](const std::vector<std::uint64_t>& tags) {
    return std::find(tags.begin(), tags.end(), tag) != tags.end();
  };
  return known.any || has(known.strong) || has(known.weak);
}

}  // namespace

std::optional<Problem> read_page_path(std::string_view rest, HttpExchange& exchange) {
  const ui::File* file = find_file(rest);
  exchange.request = PageRequest{.file = file};
  if (file != nullptr) return std::nullopt;
  return Problem{.status = 404,
                 .code = "no_such_path",
                 .detail = "the page has no such file",
                 .hint = "the page is at /ui/"};
}

std::optional<Problem> check_page_file(const Context& context, const http::RequestHead& head,
                                       const Query& query, HttpExchange& exchange) {
  if (auto problem = check_no_parameter(context, head, query, exchange)) return problem;
  auto& request = std::get<PageRequest>(exchange.request);
  request.takes_gzip = request.file->is_compressed() && http::accepts_coding(head.fields, "gzip");
  for (const http::Field& field : head.fields)
    if (http::equal_ignoring_case(field.name, "If-None-Match") &&
        !http::add_entity_tags(field.value, request.known))
      return invalid_header("If-None-Match", "If-None-Match must be a list of entity tags, or *");
  return std::nullopt;
}

std::optional<Problem> check_page(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange) {
  exchange.request = PageRequest{.file = find_file("")};
  return check_page_file(context, head, query, exchange);
}

std::optional<Problem> check_icon(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange) {
  exchange.request = PageRequest{.file = find_file("icon.svg")};
  return check_page_file(context, head, query, exchange);
}

void render_page(Context&, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<PageRequest>(exchange.request);
  const ui::File& file = *request.file;
  answer.etag = request.takes_gzip ? file.gzip_tag : file.plain_tag;
  answer.more_fields = request.takes_gzip ? kGzipFields : kPlainFields;
  if (is_known(request.known, *answer.etag)) {
    answer.status = 304;
    answer.content_type = {};
    answer.more_fields = kPlainFields;
    return;
  }
  answer.content_type = file.content_type;
  answer.body += request.takes_gzip ? file.gzip : file.plain;
}

}  // namespace vesper::api
