#include "api/list_request.hpp"

#include <utility>

#include "api/checks.hpp"
#include "api/context.hpp"
#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "http/values.hpp"

namespace vesper::api {
namespace {

std::optional<Problem> check_prefix(const http::QueryParameter& parameter, Listed listed) {
  if (listed == Listed::names || parameter.value.empty()) return check_bound(parameter);
  if (http::parse_decimal(parameter.value).value_or(0) != 0) return std::nullopt;
  return invalid_parameter("prefix", "prefix must be the first digits of the id of a lease");
}

constexpr std::uint64_t kListSeed = 0x58c3e07b9d1f42a6;

// What all pages of a list have in common.
PageScope scope_of(const Context& context, std::string_view path, const ListRequest& request) {
  std::string bytes;
  ByteWriter writer(bytes);
  writer.string(path);
  writer.string(request.prefix);
  writer.u64(request.limit);
  return {context.cluster_id(), checksum64(bytes, kListSeed)};
}

}  // namespace

std::optional<Problem> read_next_parameter(const http::QueryParameter& parameter,
                                           std::string& next) {
  next = parameter.value;
  if (!next.empty()) return std::nullopt;
  return invalid_parameter("next", "next must be the next of the page before");
}

std::optional<Problem> read_page_token(const Context& context, std::string_view next,
                                       const PageScope& scope, PageToken& token) {
  // A token names its cluster, so a server that does not know its cluster yet has made none.
  if (context.cluster_id().is_none()) return refused(node::Refusal::no_leader);
  auto read = decode_page_token(next, scope);
  if (!read) return invalid_parameter("next", "next is refused: " + read.error().what);
  token = std::move(*read);
  return std::nullopt;
}

std::optional<Problem> check_list(const http::RequestHead& head, const Query& query, Listed listed,
                                  HttpExchange& exchange, ListRequest& request) {
  for (const http::QueryParameter& parameter : query) {
    const std::string& name = parameter.name;
    std::optional<Problem> problem;
    if (name == "limit") {
      problem = read_limit(parameter, request.limit);
    } else if (name == "prefix") {
      problem = check_prefix(parameter, listed);
      request.prefix = parameter.value;
    } else if (name == "next") {
      problem = read_next_parameter(parameter, request.next);
    } else if (name == "timeout") {
      problem = read_timeout(parameter, exchange);
    } else if (is_read_option(name)) {
      problem = read_option(parameter, request.options);
    } else {
      problem = unknown_parameter(parameter);
    }
    if (problem) return problem;
  }
  if (auto problem = check_read_options(request.options)) return problem;
  return refuse_conditions(head);
}

std::optional<Problem> read_next(const Context& context, std::string_view path,
                                 ListRequest& request, std::string& resume) {
  if (request.next.empty()) return std::nullopt;
  PageToken token;
  if (auto problem =
          read_page_token(context, request.next, scope_of(context, path, request), token))
    return problem;
  wait_for_revision(token.revision, request.options);
  resume = std::move(token.resume);
  return std::nullopt;
}

std::string next_page(const Context& context, std::string_view path, const ListRequest& request,
                      PageToken token) {
  return encode_page_token(token, scope_of(context, path, request));
}

}  // namespace vesper::api
