// POST /txn: transactions. One that only reads goes through no log and takes read options.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/forward.hpp"
#include "kv/command.hpp"
#include "kv/operation.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct TxnRequest {
  node::ReadOptions options;
  std::string read_option;      // the name of one that was given; empty: none was
  std::string idempotency_key;  // empty: none was sent
  std::optional<kv::Fence> fence;
  // Set once the body has been read. Without the values of a transaction that writes.
  std::shared_ptr<const kv::Transaction> transaction;
};

std::optional<Problem> check_txn(const Context& context, const http::RequestHead& head,
                                 const Query& query, HttpExchange& exchange);
void run_txn(Context& context, HttpExchange& exchange, std::string body);
void render_txn(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
