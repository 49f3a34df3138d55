// /kv/<key>: put, get and delete, with conditions (If-Match, If-None-Match) and read levels.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/forward.hpp"
#include "kv/item.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct KvRequest {
  std::string key;
  kv::Conditions conditions;
  std::string idempotency_key;  // empty: none was sent
  node::ReadOptions read;
  bool raw = false;  // ?raw: answer with the value alone
};

std::optional<Problem> read_key(std::string_view encoded, HttpExchange& exchange);
std::optional<Problem> check_kv(const Context& context, const http::RequestHead& head,
                                const Query& query, HttpExchange& exchange);
void run_kv(Context& context, HttpExchange& exchange, std::string body);
void render_kv(Context& context, const HttpExchange& exchange, Answer& answer);

// The name of a level in ?consistency= and Vesper-Consistency.
std::string_view to_string(node::ReadLevel level);

}  // namespace vesper::api
