// /kv: the keys as a collection. GET reads a range of them, as pages or as a stream of lines
// (range_lines.hpp), DELETE removes a range, and POST imports lines (bulk_import.hpp).
#pragma once

#include <optional>
#include <string>

#include "api/change_wait.hpp"
#include "api/forward.hpp"
#include "kv/command.hpp"
#include "kv/operation.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct RangeRequest {
  enum class Form : std::uint8_t { page, lines };
  kv::RangeQuery query;  // the revision is that of ?revision, not the one that ?next pins
  node::ReadOptions options;
  Form form = Form::page;
  bool accept_decides = false;  // no parameter chooses the form
  std::string next;             // ?next; empty: the first page
  WaitParameters wait;
};

struct RangeDeleteRequest {
  kv::KeyRange range;
  kv::Prev prev = kv::Prev::omit;
  std::optional<kv::Fence> fence;
  std::string idempotency_key;  // empty: none was sent
};

std::optional<Problem> check_range(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange);
void run_range(Context& context, HttpExchange& exchange, std::string body);
void render_range(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
