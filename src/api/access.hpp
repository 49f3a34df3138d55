// Who may do what, for clients of the API. While clients need no token, everything here allows
// everything. The rights themselves are judged by kv/rights.hpp, here and again where a command is
// applied; who the client is, is judged here, again by the node when a read is carried out, and
// once a second while a request waits or its answer is sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/forward.hpp"
#include "base/bytes.hpp"
#include "kv/access.hpp"
#include "node/ports.hpp"
#include "node/watch_filter.hpp"

namespace vesper::api {

// A node that has heard no leader for this long refuses tokens: they may have been revoked.
inline constexpr Duration kTokensKept = seconds(60);

// What a request needs: a column of the endpoint table.
enum class Access : std::uint8_t {
  open,     // nothing
  page,     // nothing, unless the node is closed until there are tokens
  token,    // any token
  content,  // the rights for what it touches
  admin,
  metrics,
};

// The last credentials of a connection that were not refused. A request that repeats them needs no
// hash. Whether their token still exists is looked up for each request.
struct KnownClient {
  std::string authorization;  // the value of the field; empty: there are none
  // Of the token. Nothing: when the leader was asked, there was no such token, and clients needed
  // none. Secrets are drawn at random, so there will be none.
  std::optional<kv::Identity> identity;
};

// What is known of a request's credentials.
enum class Credential : std::uint8_t {
  settled,  // they are valid, or not needed
  unknown,  // the leader may have a token that this node has not applied
  wrong,    // the answer is delayed, to slow guessing down
};

// Whether the leader has been asked already.
enum class LeaderAsked : std::uint8_t {
  no,
  yes,
  without_answer,  // only while clients need no token, as far as this node knows
};
// Checks the credentials of a request for exchange.endpoint. Sets the credential of the exchange,
// and its identity if there is one, also while clients need no token: they may need one by the time
// at which the request takes effect. Returns the answer if they are missing or wrong.
std::optional<Problem> authenticate(const Context& context, const http::RequestHead& head,
                                    HttpExchange& exchange, LeaderAsked asked);
// Whether this node serves clients only with tokens, as far as it knows.
bool needs_tokens(const Context& context);
// Asks the leader for the index up to which this node has to apply the log to know every token. The
// reply goes to the ticket of the request.
void ask_for_tokens(Context& context, const HttpExchange& exchange);

// These return why a request is not allowed. Its token may have been revoked since
// authenticate().

// Whether the client is still known.
std::optional<Problem> judge_client(const Context& context, const HttpExchange& exchange);
// The right in the endpoint table. Access::content needs none here: its reads, writes and watches
// are judged by the functions below.
std::optional<Problem> judge_right(const Context& context, const HttpExchange& exchange);
std::optional<Problem> judge_write(const Context& context, const HttpExchange& exchange,
                                   const SharedBytes& command);
std::optional<Problem> judge_read(const Context& context, const HttpExchange& exchange,
                                  const node::ReadQuery& query);
std::optional<Problem> judge_watch(const Context& context, const HttpExchange& exchange,
                                   const std::vector<node::SpaceRange>& ranges);
// Whether there is any key that the client may write.
std::optional<Problem> judge_import(const Context& context, const HttpExchange& exchange);

Problem unauthorized(std::string detail);
// `missing`: the right.
Problem forbidden(std::string detail, kv::Right missing);

}  // namespace vesper::api
