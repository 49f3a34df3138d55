#include "api/txn.hpp"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "api/render.hpp"
#include "api/transaction_json.hpp"
#include "json/problem.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
namespace {

// The latest revision at which a transaction reads, nested ones included. 0: it reads at the
// present one only.
std::uint64_t latest_revision(const kv::Transaction& transaction) {
  std::uint64_t latest = 0;
  for (const auto* branch : {&transaction.then, &transaction.otherwise}) {
    for (const kv::Operation& operation : *branch) {
      std::uint64_t revision = 0;
      if (const auto* get = std::get_if<kv::Get>(&operation)) revision = get->revision;
      else if (const auto* range = std::get_if<kv::GetRange>(&operation))
        revision = range->query.revision;
      else if (const auto* nested = std::get_if<kv::Nested>(&operation))
        revision = latest_revision(*nested->transaction);
      latest = std::max(latest, revision);
    }
  }
  return latest;
}

// Once encoded, the values are not needed again: the answer shows only keys of the request.
void drop_values(kv::Transaction& transaction) {
  transaction.compares.clear();
  for (auto* branch : {&transaction.then, &transaction.otherwise}) {
    for (kv::Operation& operation : *branch) {
      if (auto* put = std::get_if<kv::Put>(&operation)) put->value = SharedBytes();
      else if (auto* modify = std::get_if<kv::Modify>(&operation)) modify->suffix = SharedBytes();
      else if (auto* nested = std::get_if<kv::Nested>(&operation))
        drop_values(*nested->transaction);
    }
  }
}

void render_done(const TxnRequest& request, const kv::WriteResult& result, const Moment& moment,
                 Answer& answer) {
  json::Writer json(answer.body);
  append_reply(json, std::get<kv::TransactionResult>(result.result), *request.transaction, moment);
  answer.body += '\n';
}

// Names the member that a refused operation failed at.
void render_refused(const TxnRequest& request, const kv::WriteResult& result, Answer& answer) {
  Problem problem = problem_of(result);
  problem.field = field_of(result, *request.transaction);
  render_problem(problem, answer);
}

}  // namespace

std::optional<Problem> check_txn(const Context&, const http::RequestHead& head, const Query& query,
                                 HttpExchange& exchange) {
  auto& request = exchange.request.emplace<TxnRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name == "timeout") {
      if (auto problem = read_timeout(parameter, exchange)) return problem;
    } else if (is_read_option(parameter.name)) {
      if (auto problem = read_option(parameter, request.options)) return problem;
      request.read_option = parameter.name;
    } else if (parameter.name == "fence") {
      if (auto problem = read_fence(parameter, request.fence)) return problem;
    } else {
      return unknown_parameter(parameter);
    }
  }
  if (auto problem = check_read_options(request.options)) return problem;
  if (auto problem = refuse_conditions(head)) return problem;
  if (auto problem = read_idempotency_key(head, request.idempotency_key)) return problem;
  if (auto problem = check_json_headers(head)) return problem;
  exchange.keep_body = true;
  exchange.body_limit = json::kMaxBody;
  exchange.too_large = "body_too_large";
  return check_length(head, exchange, Length::optional);
}

void run_txn(Context& context, HttpExchange& exchange, std::string body) {
  auto& request = std::get<TxnRequest>(exchange.request);
  const auto transaction = std::make_shared<kv::Transaction>();
  if (auto problem = read_transaction(body, context.settings().max_value, *transaction)) {
    exchange.outcome = std::move(*problem);
    return;
  }
  request.transaction = transaction;
  if (kv::is_read_only(*transaction)) {
    if (request.fence) {
      exchange.outcome = invalid_parameter("fence", "fence goes with a transaction that writes");
      return;
    }
    wait_for_revision(latest_revision(*transaction), request.options);
    return post_read(context, exchange, node::ReadTransaction{request.transaction},
                     request.options);
  }
  if (!request.read_option.empty()) {
    exchange.outcome = invalid_parameter(
        request.read_option, request.read_option + " goes with a transaction that only reads");
    return;
  }
  std::string target = "/txn";
  if (request.fence) target += "?" + text_of(*request.fence);
  const auto id = request_id(exchange, request.idempotency_key, target, {}, body);
  const std::string command = kv::encode(*transaction, id, request.fence);
  drop_values(*transaction);
  post_write(context, exchange, command);
}

void render_txn(Context&, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<TxnRequest>(exchange.request);
  render_reply(
      exchange.reply(), request.idempotency_key, answer,
      [&](const node::ReadResult& read) {
        render_read_head(read, answer);
        const auto& result = std::get<kv::WriteResult>(read.content);
        if (!result.is_done()) return render_refused(request, result, answer);
        render_done(request, result, {read.revision, read.log_time}, answer);
      },
      [&](const kv::WriteResult& write) {
        answer.replayed = write.replayed;
        answer.revision = write.revision;
        if (!write.is_done()) return render_refused(request, write, answer);
        render_done(request, write, {write.revision, write.time}, answer);
      });
}

}  // namespace vesper::api
