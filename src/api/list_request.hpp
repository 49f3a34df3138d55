// Lists in pages: ?next, and what GET /leases, /locks and /elections share. Their pages show the
// present state, so what changes between two of them may be missing or shown twice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "api/forward.hpp"
#include "api/page_token.hpp"
#include "api/read_options.hpp"

namespace vesper::api {

struct ListRequest {
  node::ReadOptions options;
  std::string prefix;  // of the names, or of the ids in decimal
  std::size_t limit = kDefaultLimit;
  std::string next;  // ?next; empty: the first page
};

// Reads the parameter ?next, which must not be empty.
std::optional<Problem> read_next_parameter(const http::QueryParameter& parameter,
                                           std::string& next);
// Decodes ?next. Refuses a token of another cluster or of another request than `scope`.
std::optional<Problem> read_page_token(const Context& context, std::string_view next,
                                       const PageScope& scope, PageToken& token);

// What ?prefix= is a prefix of: of a name, or of the digits of an id.
enum class Listed : std::uint8_t { names, ids };
std::optional<Problem> check_list(const http::RequestHead& head, const Query& query, Listed listed,
                                  HttpExchange& exchange, ListRequest& request);

// Reads ?next into `resume`, and lets the read wait until the node has reached the page before.
// `path` is that of the list. Leaves `resume` unchanged for the first page.
std::optional<Problem> read_next(const Context& context, std::string_view path,
                                 ListRequest& request, std::string& resume);
// The ?next of a page that more pages follow. `resume`: 1 to kv::kMaxKey + 1 bytes.
std::string next_page(const Context& context, std::string_view path, const ListRequest& request,
                      PageToken token);

}  // namespace vesper::api
