#include "api/access.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "api/context.hpp"
#include "api/credentials.hpp"
#include "api/http_exchange.hpp"
#include "base/overloaded.hpp"
#include "crypto/hmac.hpp"
#include "crypto/sha256.hpp"
#include "kv/rights.hpp"

namespace vesper::api {
namespace {

constexpr std::size_t kMaxKnown = 1024;  // bytes of KnownClient::authorization

const kv::Access* access_of(const Context& context) {
  const node::Node* node = context.node();
  if (node == nullptr || !node->store().access().is_enabled()) return nullptr;
  return &node->store().access();
}

kv::LogTime log_time(const Context& context) {
  return kv::LogTime{context.node()->raft().log_time(context.now()).value};
}

std::string_view view_of(const kv::SecretHash& hash) {
  return {hash.data(), hash.size()};
}

const kv::Token* find_token(const kv::Access& access, std::string_view secret, kv::LogTime now) {
  const kv::SecretHash hash = crypto::sha256(secret);
  const kv::Token* found = nullptr;
  access.for_candidates(hash, [&](const kv::Token& token) {
    if (crypto::equal_in_constant_time(view_of(token.hash), view_of(hash)) && token.expires > now)
      found = &token;
  });
  return found;
}

// Whether the request has the credentials that are known of its connection.
bool repeats(const http::Fields& fields, const KnownClient* known) {
  if (known == nullptr || known->authorization.empty()) return false;
  const http::Field* const field = fields.find_only(kAuthorization);
  return field != nullptr && crypto::equal_in_constant_time(field->value, known->authorization);
}

// Requires that the request has credentials.
void remember(KnownClient* known, const http::Fields& fields,
              const std::optional<kv::Identity>& identity) {
  if (known == nullptr) return;
  const std::string_view value = fields.find(kAuthorization)->value;
  if (value.size() <= kMaxKnown) *known = {std::string(value), identity};
}

// The token of the request. Null: this node has none for it.
const kv::Token* find_client(const Context& context, const kv::Access& access,
                             const http::Fields& fields, std::string_view secret,
                             KnownClient* known) {
  const kv::Token* const token = find_token(access, secret, log_time(context));
  if (token != nullptr) remember(known, fields, token->identity);
  return token;
}

std::optional<Problem> refuse_if_alone(const Context& context) {
  const Instant heard = context.node()->raft().leader_heard().at;
  const bool ever = heard != Instant{};
  if (ever && context.now() - heard <= kTokensKept) return std::nullopt;
  Problem problem = refused(node::Refusal::no_leader);
  problem.detail = fmt::format(
      "this node has heard no leader {}, so it cannot tell whether a token is still valid; nothing "
      "was applied",
      ever ? fmt::format("for {} s", kTokensKept.ms() / 1000) : "since it started");
  return problem;
}

// A proxy on this machine has passed the request on, for a client that may be anywhere.
bool is_forwarded(const http::Fields& fields) {
  for (const std::string_view name : {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"})
    if (fields.find(name) != nullptr) return true;
  return false;
}

// Whether the request needs no token, ever or on this node.
bool is_open(const Context& context, const HttpExchange& exchange) {
  if (exchange.endpoint->access == Access::open) return true;
  if (exchange.endpoint->access != Access::page && !exchange.asks_for_methods()) return false;
  const bool may_have_tokens =
      access_of(context) != nullptr || context.is_closed_until_tokens_known();
  return may_have_tokens || !context.is_closed_until_auth();
}

// While clients need no token.
std::optional<Problem> refuse_if_closed(const Context& context, const http::RequestHead& head,
                                        const HttpExchange& exchange) {
  if (!context.is_closed_until_auth()) return std::nullopt;
  if (exchange.is_local && exchange.endpoint->path == "/auth/enable" && !is_forwarded(head.fields))
    return std::nullopt;
  Problem problem = unauthorized("this node serves clients only with tokens, and has none yet");
  problem.hint = "run `vesper auth enable` on the machine of the node";
  return problem;
}

// Whether the outcome depends on the state in which the request takes effect, in which clients may
// need tokens. What this node answers from its own state alone does not, and without a leader a
// read must not wait: it may be a stale one.
bool is_judged_later(const Context& context, const HttpExchange& exchange) {
  const Access access = exchange.endpoint->access;
  if (access != Access::content && access != Access::admin) return false;
  return exchange.is_write() || context.leader();
}

// While clients need no token, as far as this node knows: the leader may know that they do, and the
// client may have such a token already. If this node serves no one without tokens, the leader's
// answer decides; else it may only add an identity.
std::optional<Problem> authenticate_without_need(const Context& context,
                                                 const http::RequestHead& head,
                                                 HttpExchange& exchange, LeaderAsked asked) {
  auto closed = refuse_if_closed(context, head, exchange);
  if (!closed && repeats(head.fields, exchange.known_client)) {
    exchange.identity = exchange.known_client->identity;
    return std::nullopt;
  }
  const Credentials credentials = read_credentials(head.fields);
  if (credentials.kind != Credentials::Kind::secret) return closed;
  if (context.node() == nullptr) {
    if (closed) return starting();
    return std::nullopt;
  }
  const kv::Token* const token = find_client(context, context.node()->store().access(), head.fields,
                                             credentials.secret, exchange.known_client);
  if (token != nullptr) exchange.identity = token->identity;
  if (asked == LeaderAsked::no) {
    const bool asks = closed || (token == nullptr && is_judged_later(context, exchange));
    if (asks) exchange.credential = Credential::unknown;
    return std::nullopt;
  }
  if (closed) exchange.credential = Credential::wrong;
  else if (token == nullptr && asked == LeaderAsked::yes)
    remember(exchange.known_client, head.fields, std::nullopt);
  return closed;
}

Problem wrong_token() {
  return unauthorized("the token is unknown, revoked or expired");
}

std::string text_of(const kv::Lack& lack) {
  if (!kv::has_scope(lack.right)) return {};
  const kv::KeyRange& range = lack.range;
  if (lack.right == kv::Right::lock && range.is_single_key())
    return fmt::format(" for the lock \"{}\"", escaped(range.start));
  const std::string_view what = lack.right == kv::Right::lock ? "locks" : "keys";
  if (range == kv::KeyRange::all()) return fmt::format(" for all {}", what);
  if (range.is_single_key()) return fmt::format(" for the key \"{}\"", escaped(range.start));
  if (range.end == kv::KeyRange::end_of_prefix(range.start))
    return fmt::format(" for the {} that begin with \"{}\"", what, escaped(range.start));
  return fmt::format(
      " for the {} from \"{}\" {}", what, escaped(range.start),
      range.is_to_the_end() ? "on" : fmt::format("up to \"{}\"", escaped(range.end)));
}

// `find_lack(token)` says what the token lacks for the request.
template <typename FindLack>
std::optional<Problem> judge(const Context& context, const HttpExchange& exchange,
                             const FindLack& find_lack) {
  const kv::Access* access = access_of(context);
  if (access == nullptr) return std::nullopt;
  const kv::Token* token =
      exchange.identity ? access->find(*exchange.identity, log_time(context)) : nullptr;
  if (token == nullptr) return wrong_token();
  const std::optional<kv::Lack> lack = find_lack(*token);
  if (!lack) return std::nullopt;
  return forbidden(fmt::format("the token \"{}\" lacks the right \"{}\"{}", token->identity.name,
                               kv::to_string(lack->right), text_of(*lack)),
                   lack->right);
}

std::optional<kv::Lack> lack_of_read(const kv::Token& token, const node::ReadQuery& query) {
  return std::visit(
      Overloaded{
          [&](const node::ReadKey& read) {
            return kv::find_lack_of_key(token, kv::Right::read, read.key);
          },
          [&](const node::ReadHistory& read) {
            return kv::find_lack_of_key(token, kv::Right::read, read.key);
          },
          [&](const node::ReadRange& read) {
            return kv::find_lack(token, kv::Right::read, read.query.range);
          },
          [&](const node::ReadTransaction& read) {
            return kv::find_lack(token, *read.transaction);
          },
          [&](const node::ReadLease&) { return kv::find_lack(token, kv::Right::write); },
          [&](const node::ReadLeases&) { return kv::find_lack(token, kv::Right::write); },
          [&](const node::ReadLock& read) {
            return kv::find_lack_of_key(token, kv::Right::lock, read.lock.name);
          },
          [&](const node::ReadLocks& read) {
            return kv::find_lack(token, kv::Right::lock, read.range);
          },
          [](const node::ReadAccess&) { return std::optional<kv::Lack>(); },
      },
      query);
}

}  // namespace

Problem unauthorized(std::string detail) {
  return {.status = 401,
          .code = "unauthorized",
          .detail = std::move(detail),
          .hint = "send the header \"Authorization: Bearer TOKEN\"; see POST /auth/tokens"};
}

Problem forbidden(std::string detail, kv::Right missing) {
  Problem problem{.status = 403, .code = "forbidden", .detail = std::move(detail)};
  problem.right = kv::to_string(missing);
  return problem;
}

std::optional<Problem> authenticate(const Context& context, const http::RequestHead& head,
                                    HttpExchange& exchange, LeaderAsked asked) {
  exchange.credential = Credential::settled;
  const kv::Access* access = access_of(context);
  if (is_open(context, exchange)) return std::nullopt;
  if (context.is_closed_until_tokens_known()) return starting();
  if (access == nullptr) return authenticate_without_need(context, head, exchange, asked);
  KnownClient* const known = exchange.known_client;
  if (repeats(head.fields, known) && known->identity &&
      access->find(*known->identity, log_time(context)) != nullptr) {
    exchange.identity = known->identity;
    return refuse_if_alone(context);
  }
  const Credentials credentials = read_credentials(head.fields);
  switch (credentials.kind) {
    case Credentials::Kind::missing: return unauthorized("this request needs a token");
    case Credentials::Kind::malformed: return unauthorized(std::string(credentials.wrong));
    case Credentials::Kind::secret: break;
  }
  if (auto problem = refuse_if_alone(context)) return problem;
  if (const kv::Token* token =
          find_client(context, *access, head.fields, credentials.secret, known)) {
    exchange.identity = token->identity;
    return std::nullopt;
  }
  exchange.credential = asked == LeaderAsked::no ? Credential::unknown : Credential::wrong;
  if (asked == LeaderAsked::no) return std::nullopt;
  return wrong_token();
}

bool needs_tokens(const Context& context) {
  return access_of(context) != nullptr || context.is_closed_until_auth();
}

void ask_for_tokens(Context& context, const HttpExchange& exchange) {
  context.post(node::ClientRead{exchange.ticket,
                                node::ReadAccess{},
                                context.now() + exchange.timeout,
                                {},
                                nullptr,
                                nullptr,
                                {}});
}

std::optional<Problem> judge_client(const Context& context, const HttpExchange& exchange) {
  if (access_of(context) == nullptr || exchange.endpoint == nullptr || is_open(context, exchange))
    return std::nullopt;
  if (auto problem =
          judge(context, exchange, [](const auto&) { return std::optional<kv::Lack>(); }))
    return problem;
  return refuse_if_alone(context);
}

std::optional<Problem> judge_right(const Context& context, const HttpExchange& exchange) {
  switch (exchange.endpoint->access) {
    case Access::open:
    case Access::page:
    case Access::content: return std::nullopt;
    case Access::token:
      return judge(context, exchange, [](const auto&) { return std::optional<kv::Lack>(); });
    case Access::admin:
      return judge(context, exchange,
                   [](const kv::Token& token) { return kv::find_lack(token, kv::Right::admin); });
    case Access::metrics:
      return judge(context, exchange,
                   [](const kv::Token& token) { return kv::find_lack(token, kv::Right::metrics); });
  }
  VESPER_UNREACHABLE();
}

std::optional<Problem> judge_write(const Context& context, const HttpExchange& exchange,
                                   const SharedBytes& command) {
  return judge(context, exchange,
               [&](const kv::Token& token) { return kv::find_lack(token, command); });
}

std::optional<Problem> judge_read(const Context& context, const HttpExchange& exchange,
                                  const node::ReadQuery& query) {
  return judge(context, exchange,
               [&](const kv::Token& token) { return lack_of_read(token, query); });
}

std::optional<Problem> judge_watch(const Context& context, const HttpExchange& exchange,
                                   const std::vector<node::SpaceRange>& ranges) {
  return judge(context, exchange, [&](const kv::Token& token) {
    for (const node::SpaceRange& one : ranges) {
      const auto right = one.space == kv::Space::keys ? kv::Right::read : kv::Right::lock;
      if (auto lack = kv::find_lack(token, right, one.range)) return lack;
    }
    return std::optional<kv::Lack>();
  });
}

std::optional<Problem> judge_import(const Context& context, const HttpExchange& exchange) {
  return judge(context, exchange,
               [](const kv::Token& token) { return kv::find_lack(token, kv::Right::write); });
}

}  // namespace vesper::api
