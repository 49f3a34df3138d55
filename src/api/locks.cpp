#include "api/locks.hpp"

#include <fmt/core.h>

#include <memory>
#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/render.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
namespace {

// What differs between locks and elections.
struct SpaceNames {
  std::string_view path;  // of the list
  json::Name one, all;    // members
};

const SpaceNames& names_of(kv::Space space) {
  static constexpr SpaceNames kLocks{"/locks", "lock", "locks"};
  static constexpr SpaceNames kElections{"/elections", "election", "elections"};
  VESPER_ASSERT(space != kv::Space::keys);
  return space == kv::Space::locks ? kLocks : kElections;
}

bool is_election(const LockRequest& request) {
  return request.lock.space == kv::Space::elections;
}

// ---- parameters

std::optional<Problem> read_token(const http::QueryParameter& parameter, std::uint64_t& token) {
  if (!read_revision(parameter, token)) return std::nullopt;
  return invalid_parameter(parameter.name, "token must be the token of the grant, a whole number");
}

std::optional<Problem> check_acquire(const Query& query, HttpExchange& exchange,
                                     LockAcquire& acquire) {
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (parameter.name == "timeout") problem = read_timeout(parameter, exchange);
    else if (parameter.name == "ttl") problem = read_ttl(parameter, acquire.ttl);
    else if (parameter.name == "wait") problem = read_wait(parameter, "60s", acquire.wait);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  return std::nullopt;
}

// Of a renewal or a release.
std::optional<Problem> check_holder(const Query& query, HttpExchange& exchange,
                                    std::uint64_t& token) {
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (parameter.name == "timeout") problem = read_timeout(parameter, exchange);
    else if (parameter.name == "token") problem = read_token(parameter, token);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  if (token != 0) return std::nullopt;
  return invalid_parameter("token", "token is required: the one that the grant returned");
}

// The value of an election. A body of any other request is dropped.
std::optional<Problem> check_value(const http::RequestHead& head, HttpExchange& exchange) {
  if (auto problem = check_value_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = kv::kMaxElectionValue;
  exchange.too_large = "value_too_large";
  return check_length(head, exchange, Length::optional);
}

std::optional<Problem> check_collection(const http::RequestHead& head, const Query& query,
                                        kv::Space space, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<LockRequest>();
  request.lock.space = space;
  return check_list(head, query, Listed::names, exchange, request.action.emplace<LockList>().list);
}

std::optional<Problem> read_name_in(kv::Space space, std::string_view encoded,
                                    HttpExchange& exchange) {
  auto& request = exchange.request.emplace<LockRequest>();
  request.lock.space = space;
  return space == kv::Space::locks
             ? read_name(encoded, "lock name", "/locks/", request.lock.name)
             : read_name(encoded, "election name", "/elections/", request.lock.name);
}

// ---- what is posted

void run_list(Context& context, HttpExchange& exchange, LockRequest& request) {
  ListRequest& list = std::get<LockList>(request.action).list;
  node::ReadLocks read{request.lock.space, kv::KeyRange::of_prefix(list.prefix), {}, list.limit};
  std::string resume;
  auto problem = read_next(context, names_of(request.lock.space).path, list, resume);
  if (!problem && !resume.empty()) {
    if (read.range.contains(resume)) read.from = resume;
    else problem = invalid_parameter("next", "next is refused: it lies outside of the list");
  }
  if (problem) exchange.outcome = std::move(*problem);
  else post_read(context, exchange, std::move(read), list.options);
}

// Posts the command that one of the writes makes.
struct PostWrite {
  Context& context;
  HttpExchange& exchange;
  const LockRequest& request;
  std::string body;

  void operator()(const LockAcquire& acquire) const {
    const Settings& settings = context.settings();
    kv::AcquireLock command{.lock = request.lock,
                            .ttl = acquire.ttl,
                            .boot = context.node()->boot().value,
                            .most_locks = settings.max_locks,
                            .most_waiters = settings.max_waiters,
                            .value = SharedBytes::copy_of(body)};
    if (acquire.wait.ns != 0) command.if_held = kv::AcquireLock::IfHeld::queue;
    // How long the client waits is not part of what it asks for: a retry may wait again.
    const auto id = id_of(fmt::format("ttl={}ms", acquire.ttl.ms()));
    const node::LockWait wait{request.lock, context.now() + acquire.wait, request.idempotency_key};
    post_write(context, exchange, kv::encode(command, id),
               std::make_shared<const node::LockWait>(wait));
  }
  void operator()(const LockRenew& renew) const {
    kv::RenewLock command{request.lock, renew.token, std::nullopt};
    if (!body.empty()) command.value = SharedBytes::copy_of(body);
    post_write(context, exchange, kv::encode(command, id_of(token_text(renew.token))));
  }
  void operator()(const LockRelease& release) const {
    const kv::ReleaseLock command{request.lock, release.token};
    post_write(context, exchange, kv::encode(command, id_of(token_text(release.token))));
  }
  void operator()(const LockGet&) const { VESPER_UNREACHABLE(); }
  void operator()(const LockList&) const { VESPER_UNREACHABLE(); }

  static std::string token_text(std::uint64_t token) { return fmt::format("token={}", token); }
  std::optional<kv::IdempotencyKey> id_of(const std::string& parameter) const {
    const std::string target =
        fmt::format("?{}&{}/", parameter, names_of(request.lock.space).path) + request.lock.name;
    return request_id(exchange, request.idempotency_key, target, {}, body);
  }
};

// ---- answers

// {"token","ttl_ms"}, and the value of an election.
void append_held(json::Writer& json, const node::HeldLock& held, kv::LogTime now) {
  json.member("token", held.token);
  json.member("ttl_ms", ttl_ms_left(held.deadline, now));
  if (held.version->space() == kv::Space::elections) {
    json.bytes_member("value", held.version->value());
  }
}

// {"lock","holder":{...},"queue":[{"place"},...],"waiters","revision"}
void render_one(const LockRequest& request, const node::LockFound& found, const Moment& moment,
                Answer& answer) {
  json::Writer json(answer.body);
  json.begin_object();
  json.bytes_member(names_of(request.lock.space).one, request.lock.name);
  if (found.held) {
    json.begin_object("holder");
    append_held(json, *found.held, moment.time);
    json.end_object();
  }
  json.key("queue");
  json.begin_array();
  for (const std::uint64_t place : found.queue) {
    json.begin_object();
    json.member("place", place);
    json.end_object();
  }
  json.end_array();
  json.member("waiters", found.waiters);
  json.member("revision", moment.revision);
  json.end_object();
  answer.body += '\n';
}

// {"locks":[...],"count","revision","next"}
void render_list(const Context& context, const LockRequest& request, const node::LocksFound& found,
                 const Moment& moment, Answer& answer) {
  const SpaceNames& names = names_of(request.lock.space);
  json::Writer json(answer.body);
  json.begin_object();
  json.key(names.all);
  json.begin_array();
  for (const node::HeldLock& held : found.locks) {
    json.begin_object();
    json.bytes_member(names.one, held.version->key());
    append_held(json, held, moment.time);
    json.member("waiters", held.waiters);
    json.end_object();
  }
  json.end_array();
  json.member("count", found.count);
  json.member("revision", moment.revision);
  if (found.more) {
    // The name after this one, in byte order.
    std::string resume(found.locks.back().version->key());
    resume += '\0';
    json.member("next", next_page(context, names.path, std::get<LockList>(request.action).list,
                                  {moment.revision, found.count, resume}));
  }
  json.end_object();
  answer.body += '\n';
}

void render_read(const Context& context, const LockRequest& request, const node::ReadResult& read,
                 Answer& answer) {
  render_read_head(read, answer);
  const Moment moment{read.revision, read.log_time};
  if (const auto* found = std::get_if<node::LockFound>(&read.content))
    return render_one(request, *found, moment, answer);
  render_list(context, request, std::get<node::LocksFound>(read.content), moment, answer);
}

void render_write(const kv::WriteResult& write, Answer& answer) {
  using State = kv::LockResult::State;
  if (render_if_refused(write, {}, answer)) return;
  const auto& result = std::get<kv::LockResult>(write.result);
  json::Writer json(answer.body);
  json.begin_object();
  switch (result.state) {
    case State::granted:
    case State::renewed:
      json.member("token", result.token);
      json.member("ttl_ms", static_cast<std::uint64_t>(result.ttl.ms()));
      break;
    case State::released:
    case State::not_held: json.member("released", result.state == State::released); break;
    // The node keeps waiters until they are granted the lock or give up.
    case State::queued:
    case State::done: VESPER_UNREACHABLE();
  }
  json.end_object();
  answer.body += '\n';
}

}  // namespace

std::optional<Problem> read_lock_name(std::string_view encoded, HttpExchange& exchange) {
  return read_name_in(kv::Space::locks, encoded, exchange);
}

std::optional<Problem> read_election_name(std::string_view encoded, HttpExchange& exchange) {
  return read_name_in(kv::Space::elections, encoded, exchange);
}

std::optional<Problem> check_lock(const Context&, const http::RequestHead& head, const Query& query,
                                  HttpExchange& exchange) {
  auto& request = std::get<LockRequest>(exchange.request);
  std::optional<Problem> problem;
  if (exchange.method == http::Method::post)
    problem = check_acquire(query, exchange, request.action.emplace<LockAcquire>());
  else if (exchange.method == http::Method::put)
    problem = check_holder(query, exchange, request.action.emplace<LockRenew>().token);
  else if (exchange.method == http::Method::delete_)
    problem = check_holder(query, exchange, request.action.emplace<LockRelease>().token);
  else problem = check_read(query, exchange, request.action.emplace<LockGet>().options);
  if (problem) return problem;
  if (auto refused = refuse_conditions(head)) return refused;
  if (!exchange.is_write()) return std::nullopt;
  const auto* acquire = std::get_if<LockAcquire>(&request.action);
  exchange.ends_with_hang_up = acquire != nullptr && acquire->wait.ns != 0;
  if (auto refused = read_idempotency_key(head, request.idempotency_key)) return refused;
  const bool has_value = is_election(request) && exchange.method != http::Method::delete_;
  return has_value ? check_value(head, exchange) : std::nullopt;
}

std::optional<Problem> check_locks(const Context&, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange) {
  return check_collection(head, query, kv::Space::locks, exchange);
}

std::optional<Problem> check_elections(const Context&, const http::RequestHead& head,
                                       const Query& query, HttpExchange& exchange) {
  return check_collection(head, query, kv::Space::elections, exchange);
}

void run_lock(Context& context, HttpExchange& exchange, std::string body) {
  auto& request = std::get<LockRequest>(exchange.request);
  if (const auto* get = std::get_if<LockGet>(&request.action))
    return post_read(context, exchange, node::ReadLock{request.lock}, get->options);
  if (std::holds_alternative<LockList>(request.action)) return run_list(context, exchange, request);
  std::visit(PostWrite{context, exchange, request, std::move(body)}, request.action);
}

void render_lock(Context& context, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<LockRequest>(exchange.request);
  render_reply(
      exchange.reply(), request.idempotency_key, answer,
      [&](const node::ReadResult& read) { render_read(context, request, read, answer); },
      [&](const kv::WriteResult& write) { render_write(write, answer); });
}

}  // namespace vesper::api
