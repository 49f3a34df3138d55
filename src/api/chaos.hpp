// /chaos: breaks things on purpose, so that people see what the cluster does about it. Offered only
// by `vesper server --chaos`, on loopback addresses. The node passes what is asked for to the
// process that has started it, its supervisor (app/supervisor.hpp), which answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/forward.hpp"
#include "node/ports.hpp"

namespace vesper::api {

// The way to the supervisor.
class ChaosPort {
 public:
  // The answer becomes the outcome of the exchange with this ticket. Returns false if there is no
  // supervisor.
  virtual bool ask(const node::Ticket& ticket, std::string_view request) = 0;

 protected:
  ~ChaosPort() = default;
};

struct ChaosRequest {
  bool is_transfer = false;  // which the node carries out itself
};

Problem no_supervisor();
// What POST /chaos asks for, as the supervisor reads it (docs/http-api.md); `to`: of a transfer.
std::optional<Problem> read_chaos(std::string_view body, std::string& request,
                                  std::optional<std::uint64_t>& to);

std::optional<Problem> check_chaos(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange);
void run_chaos(Context& context, HttpExchange& exchange, std::string body);
void render_chaos(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
