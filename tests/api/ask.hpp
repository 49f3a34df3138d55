// Asks one request of a server without sockets and without a node, and returns the outcome.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/dispatch.hpp"
#include "http/parser.hpp"

namespace vesper::api {

class NoFigures final : public Figures {
 public:
  std::optional<DiskFigures> disk() const override { return std::nullopt; }
  TrafficFigures traffic() const override { return {}; }
};

inline Settings settings() {
  Settings made;
  made.list = {{"one.example", 5000}, {"::1", 5001}};
  made.address = made.list[0];
  made.max_value = 100;
  made.request_timeout = seconds(5);
  made.max_watch_filters = 6;
  return made;
}

struct Asked {
  HttpExchange exchange;
  Answer answer;
  std::string text;
};

// Checks a request, begins it with `begin`, and renders the answer.
template <typename Begin>
Asked ask(const std::string& line, const std::string& fields, Begin&& begin) {
  const NoFigures figures;
  Context context(settings(), figures, Instant{1});
  const std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
  http::Parser parser(http::Parser::Kind::request);
  std::size_t consumed = 0;
  REQUIRE(parser.parse(text, consumed) == http::Step::head);
  Asked asked;
  if (auto problem = validate(context, parser.request(), asked.exchange))
    asked.exchange.outcome = std::move(*problem);
  if (!asked.exchange.answered()) begin(context, asked.exchange);
  REQUIRE(asked.exchange.answered());
  render(context, asked.exchange, asked.answer);
  append_answer(context, asked.exchange, asked.answer, asked.text);
  return asked;
}

// A request without a body.
inline Asked ask(const std::string& line, const std::string& fields = {}) {
  return ask(line, fields,
             [](Context& context, HttpExchange& exchange) { run(context, exchange, {}); });
}

// True if the answer is a problem with this status and code.
inline bool says(const Asked& asked, int status, std::string_view code) {
  return asked.answer.status == status &&
         asked.answer.body.find("\"code\":\"" + std::string(code) + "\"") != std::string::npos;
}

// A server that is still reading its log answers 503 to what passes every check.
inline bool is_accepted(const Asked& asked) {
  return says(asked, 503, "starting");
}

// The answer refuses this parameter.
inline void check_refused(const std::string& line, std::string_view parameter,
                          const std::string& fields = {}) {
  CAPTURE(line);
  const Asked asked = ask(line, fields);
  CHECK(says(asked, 400, "invalid_parameter"));
  CHECK(asked.answer.body.find("\"parameter\":\"" + std::string(parameter) + "\"") !=
        std::string::npos);
}

// `line` ends before the parameter; a value begins with its "=".
inline void check_refused_values(const std::string& line, std::string_view parameter,
                                 const std::vector<std::string>& values) {
  for (const std::string& value : values)
    check_refused(line + std::string(parameter) + value, parameter);
}

template <typename Request>
Request request_of(const std::string& line, const std::string& fields = {}) {
  CAPTURE(line);
  const Asked asked = ask(line, fields);
  REQUIRE(is_accepted(asked));
  REQUIRE(std::holds_alternative<Request>(asked.exchange.request));
  return std::get<Request>(asked.exchange.request);
}

}  // namespace vesper::api
