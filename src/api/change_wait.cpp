#include "api/change_wait.hpp"

#include <utility>

#include "api/answer.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "api/render.hpp"
#include "http/values.hpp"

namespace vesper::api {

bool is_wait_parameter(std::string_view name) {
  return name == "wait" || name == "since";
}

std::optional<Problem> read_wait_parameter(const http::QueryParameter& parameter,
                                           WaitParameters& parameters) {
  if (parameter.name == "wait") return read_wait(parameter, "30s", parameters.wait.emplace());
  parameters.since = http::parse_decimal(parameter.value);
  if (parameters.since && *parameters.since < kEndOfRevisions) return std::nullopt;
  return invalid_parameter("since", "since must be a revision, from 0 to 2^53 - 1");
}

std::optional<Problem> check_wait(const WaitParameters& parameters, HttpExchange& exchange) {
  if (parameters.since && !parameters.wait)
    return invalid_parameter("since", "since requires wait, such as wait=30s");
  exchange.ends_with_hang_up = parameters.wait.has_value();
  return std::nullopt;
}

std::shared_ptr<const node::ChangeWait> change_wait(const Context& context,
                                                    const WaitParameters& parameters,
                                                    kv::KeyRange range) {
  if (!parameters.wait) return nullptr;
  return std::make_shared<node::ChangeWait>(
      node::ChangeWait{std::move(range), parameters.since, context.now() + *parameters.wait});
}

void render_unchanged(const node::ReadResult& read, Answer& answer) {
  render_read_head(read, answer);
  answer.status = 304;
  answer.content_type = {};
}

}  // namespace vesper::api
