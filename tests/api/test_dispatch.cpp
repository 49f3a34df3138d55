// From a head to an answer without sockets and without a node: the order of the checks, and what a
// server says that is still reading its log.
#include <doctest/doctest.h>

#include <string_view>

#include "ask.hpp"

namespace test_dispatch {

using namespace vesper;
using namespace vesper::api;

TEST_CASE("the first failed check decides the reply") {
  CHECK(says(ask("GET /nowhere"), 404, "no_such_path"));
  CHECK(says(ask("GET /raft"), 404, "no_such_path"));
  CHECK(says(ask("GET /kv/"), 400, "invalid_key"));
  CHECK(says(ask("PATCH /kv/%zz"), 400, "malformed"));  // the path comes before the method
  CHECK(says(ask("PATCH /kv/a?x"), 405, "method_not_allowed"));
  CHECK(says(ask("GET /kv/a?x"), 400, "invalid_parameter"));
  CHECK(says(ask("GET /livez?x"), 400, "invalid_parameter"));
  CHECK(says(ask("PUT /kv/a", "If-Match: x\r\n"), 400, "invalid_field"));
  CHECK(says(ask("PUT /kv/a"), 411, "length_required"));
  CHECK(says(ask("PUT /kv/a", "Content-Length: 101\r\n"), 413, "value_too_large"));
  CHECK(says(ask("DELETE /kv/a", "Origin: http://elsewhere\r\n"), 403, "cross_origin"));
}

TEST_CASE("a server that is still reading its log says so if a request needs the node") {
  CHECK(says(ask("GET /kv/a"), 503, "starting"));
  CHECK(says(ask("POST /cluster/transfer"), 503, "starting"));
  CHECK(ask("GET /livez").answer.status == 200);
  CHECK(ask("GET /status").answer.status == 200);
  CHECK(ask("GET /metrics").answer.status == 200);
  CHECK(ask("GET /readyz").answer.status == 503);
  CHECK(ask("GET /readyz?verbose").answer.body.find("[-]log still reading the log\n") !=
        std::string::npos);
}

TEST_CASE("OPTIONS lists the methods, and answers a probe as GET does") {
  const Asked kv = ask("OPTIONS /kv/a");
  CHECK(kv.answer.status == 204);
  CHECK(kv.answer.allow == "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  CHECK(kv.text.find("Content-Length") == std::string::npos);
  CHECK(ask("OPTIONS *").answer.allow == "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  const Asked probe = ask("OPTIONS /readyz");
  CHECK(probe.answer.status == 503);
  CHECK(probe.answer.allow == "GET, HEAD, OPTIONS");
  CHECK(probe.answer.body == "not ready; see /readyz?verbose\n");
}

TEST_CASE("CONNECT has no path and is refused, and the reply lists the methods") {
  const Asked asked = ask("CONNECT localhost:80");
  CHECK(says(asked, 405, "method_not_allowed"));
  CHECK(asked.answer.allow == "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  CHECK(asked.exchange.endpoint == nullptr);
}

TEST_CASE("each resource reads its own fields of a request") {
  const Asked kv = ask("GET /kv/a%20b?raw&consistency=stale&max_staleness=200ms");
  const auto& request = std::get<KvRequest>(kv.exchange.request);
  CHECK(request.key == "a b");
  const auto& get = std::get<KvGet>(request.action);
  CHECK(get.raw);
  CHECK(get.options.level == node::ReadLevel::stale);
  CHECK(get.options.max_staleness == milliseconds(200));
  const Asked put = ask("PUT /kv/a", "Content-Length: 0\r\nIdempotency-Key: \"k\"\r\n");
  CHECK(std::get<KvRequest>(put.exchange.request).idempotency_key == "k");
  const Asked transfer = ask("POST /cluster/transfer?to=1");
  CHECK(std::get<TransferRequest>(transfer.exchange.request).to == raft::ServerId(1));
}

TEST_CASE("a write that is not carried out once only refuses an Idempotency-Key") {
  for (const char* line : {"POST /cluster/transfer", "POST /cluster/members", "POST /auth/enable",
                           "POST /auth/tokens"}) {
    CAPTURE(line);
    for (const char* field : {"Idempotency-Key: k\r\n", "If-Match: *\r\n"})
      CHECK(says(ask(line, field), 400, "invalid_field"));
  }
  for (const char* line : {"POST /auth/disable", "DELETE /auth/tokens/a"})
    CHECK(std::get<AuthRequest>(ask(line, "Idempotency-Key: k\r\n").exchange.request)
              .idempotency_key == "k");
}

TEST_CASE("HEAD gets the head that GET gets, and no body") {
  const Asked get = ask("GET /livez"), head = ask("HEAD /livez");
  CHECK(get.text.ends_with("\r\n\r\nok\n"));
  CHECK(head.text.ends_with("Content-Length: 3\r\n\r\n"));
}

}  // namespace test_dispatch
