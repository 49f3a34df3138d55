// `vesper client <address> <key> [value]`: behaves like the seed project's client, with exit codes
// added.
#include <fmt/core.h>

#include "app/call.hpp"
#include "app/commands.hpp"
#include "app/curl.hpp"
#include "app/endpoints.hpp"
#include "app/kv_command.hpp"
#include "base/bytes.hpp"
#include "json/document.hpp"
#include "json/request.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

namespace vesper::app {
namespace {

std::string body_of(const ClientOptions& options) {
  std::string body;
  json::Writer w(body);
  w.begin_object();
  w.key("type");
  w.string(options.value ? "put" : "get");
  w.key("payload");
  w.begin_object();
  w.key("key");
  w.string(options.key);
  if (options.value) {
    w.key("value");
    w.string(*options.value);
  }
  w.end_object();
  w.end_object();
  return body;
}

// Maps {"code":"success"...} and {"code":"fail"...}, which both come with status 200.
int exit_code_of_reply(const json::Value& reply, Access access) {
  if (reply.find("code").string() == "success") return kExitOk;
  if (reply.find("code").string() != "fail") return kExitError;
  // "fail" means that nothing was applied.
  const bool absent = access == Access::read && !reply.find("reason").exists();
  return absent ? kExitNotFound : kExitUnavailable;
}

// Prints any JSON answer, including problem bodies.
int print_answer(const Exchange& exchange, Access access) {
  const Reply& reply = exchange.reply();
  std::string line;
  json::Document document;
  if (json::compact(reply.body, line) || document.parse(line)) {
    complain(fmt::format("{}: the reply with status {} is not JSON", exchange.server().url(),
                         reply.status));
    return access == Access::write ? kExitUnknown : kExitError;
  }
  line += '\n';
  const int code =
      reply.status == 200
          ? exit_code_of_reply(document.root(), access)
          : exit_code_of(reply.status, document.root().find("code").string().value_or(""), access);
  return print(line, code, access == Access::write && code == kExitOk ? kTookEffect : "");
}

}  // namespace

int run_client(const ClientOptions& options) {
  const auto server = parse_endpoint(options.address);
  if (!server) {
    complain(server.error().what);
    return kExitUsage;
  }
  if (!json::is_utf8(options.key) || !json::is_utf8(options.value.value_or(""))) {
    complain("the key and the value must be UTF-8");
    hint("vesper put accepts any bytes");
    return kExitUsage;
  }
  if (!prepare_tls(options.tls, {*server})) return kExitUsage;
  if (options.curl) {
    const std::string body = body_of(options);
    return print(curl_command(*server, options.tls,
                              {.method = options.value ? "PUT" : "GET",
                               .target = "/request",
                               .body = CurlRequest::Body::text,
                               .text_or_file = body}) +
                 "\n");
  }
  const Access access = options.value ? Access::write : Access::read;
  const Instant finish_by = monotonic_now() + options.timeout;
  const std::array exchanges{std::make_unique<Exchange>(
      server.value(),
      make_request(server.value(), options.value ? "PUT" : "GET", "/request", body_of(options)),
      options.timeout, finish_by)};
  run(exchanges);
  const Exchange& exchange = *exchanges[0];
  if (exchange.end() == Exchange::End::reply) return print_answer(exchange, access);
  complain(fmt::format("{}: {}", server.value().url(), exchange.detail()));
  if (access == Access::write && exchange.sent()) return kExitUnknown;
  return exchange.end() == Exchange::End::bad_reply ? kExitError : kExitUnavailable;
}

}  // namespace vesper::app
