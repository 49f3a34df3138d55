#include "api/list_request.hpp"

#include <fmt/core.h>

#include <utility>

#include "api/checks.hpp"
#include "api/context.hpp"
#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "http/values.hpp"
#include "kv/item.hpp"

namespace vesper::api {
namespace {

constexpr std::uint64_t kListSeed = 0x58c3e07b9d1f42a6;

std::optional<Problem> read_prefix(const http::QueryParameter& parameter, std::string& prefix) {
  prefix = parameter.value;
  if (prefix.size() <= kv::kMaxKey) return std::nullopt;
  Problem problem = invalid_parameter(
      parameter.name,
      fmt::format("prefix must be 0 to {} bytes, and has {}", kv::kMaxKey, prefix.size()));
  problem.limit = kv::kMaxKey;
  return problem;
}

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

std::optional<Problem> check_list(const http::RequestHead& head, const Query& query, Listed listed,
                                  HttpExchange& exchange, ListRequest& request) {
  for (const http::QueryParameter& parameter : query) {
    const std::string& name = parameter.name;
    std::optional<Problem> problem;
    if (name == "limit") {
      problem = read_limit(parameter, request.limit);
    } else if (name == "prefix" && listed == Listed::names) {
      problem = read_prefix(parameter, request.prefix);
    } else if (name == "next") {
      request.next = parameter.value;
      if (request.next.empty())
        problem = invalid_parameter("next", "next must be the next of the page before");
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
  // A token names its cluster, so one that is not yet known can have made none.
  if (context.cluster_id().is_none()) return refused(node::Refusal::no_leader);
  auto token = decode_page_token(request.next, scope_of(context, path, request));
  if (!token) return invalid_parameter("next", "next is refused: " + token.error().what);
  wait_for_revision(token->revision, request.options);
  resume = std::move(token->resume);
  return std::nullopt;
}

std::string next_page(const Context& context, std::string_view path, const ListRequest& request,
                      PageToken token) {
  return encode_page_token(token, scope_of(context, path, request));
}

}  // namespace vesper::api
