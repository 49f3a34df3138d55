// /auth: whether clients need tokens, and which tokens there are. The serving node draws a secret,
// shows it once, and proposes only its hash.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/forward.hpp"
#include "kv/command.hpp"

namespace vesper::api {

struct AuthEnable {};
struct AuthDisable {};
struct AuthAdd {
  kv::AddToken add;
};
struct AuthRevoke {};
struct AuthGet {};
struct AuthList {};

struct AuthRequest {
  std::string name;             // of the token; empty: none is named
  std::string secret;           // that was drawn for this request; empty: none
  std::string idempotency_key;  // empty: none
  std::variant<AuthEnable, AuthDisable, AuthAdd, AuthRevoke, AuthGet, AuthList> action;
};

// Reads the body of POST /auth/tokens.
std::optional<Problem> read_token(std::string_view body, kv::AddToken& add);

std::optional<Problem> read_token_name(std::string_view encoded, HttpExchange& exchange);
std::optional<Problem> check_auth_enable(const Context& context, const http::RequestHead& head,
                                         const Query& query, HttpExchange& exchange);
std::optional<Problem> check_auth_disable(const Context& context, const http::RequestHead& head,
                                          const Query& query, HttpExchange& exchange);
// Of /auth/tokens and /auth/tokens/NAME.
std::optional<Problem> check_tokens(const Context& context, const http::RequestHead& head,
                                    const Query& query, HttpExchange& exchange);
void run_auth(Context& context, HttpExchange& exchange, std::string body);
void render_auth(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
