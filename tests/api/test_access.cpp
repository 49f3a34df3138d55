// Credentials: which forms are taken, and what a node that is closed until tokens exist serves.
// What tokens allow is tested over a server (tests/server/test_auth.py) and in
// tests/kv/test_access.cpp.
#include <doctest/doctest.h>

#include <memory>
#include <utility>

#include "api/credentials.hpp"
#include "ask.hpp"
#include "crypto/sha256.hpp"
#include "json/text.hpp"
#include "kv/command.hpp"
#include "node/node.hpp"
#include "raft/entry.hpp"
#include "support/mem_fs.hpp"

namespace test_access {

using namespace vesper;
using namespace vesper::api;

namespace {

Credentials read(std::initializer_list<std::string_view> values) {
  http::Fields fields;
  for (const std::string_view value : values) fields.add({"authorization", value});
  return read_credentials(fields);
}

std::string basic(std::string_view pair) {
  std::string text = "Basic ";
  json::append_base64(text, pair);
  return text;
}

bool is_refused(std::initializer_list<std::string_view> values) {
  const Credentials credentials = read(values);
  return credentials.kind == Credentials::Kind::malformed && credentials.secret.empty() &&
         !credentials.wrong.empty();
}

// The status and code of a request to a node that is closed, in one of two ways.
Asked ask_closed(const std::string& line, bool is_local,
                 void (Context::*close)() = &Context::close_until_auth,
                 const std::string& fields = {}) {
  const NoFigures figures;
  Context context(settings(), figures, Instant{1});
  (context.*close)();
  const std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
  http::Parser parser(http::Parser::Kind::request);
  std::size_t consumed = 0;
  REQUIRE(parser.parse(text, consumed) == http::Step::head);
  Asked asked;
  asked.exchange.is_local = is_local;
  if (auto problem = validate(context, parser.request(), asked.exchange))
    asked.exchange.outcome = std::move(*problem);
  if (!asked.exchange.answered()) run(context, asked.exchange, {});
  render(context, asked.exchange, asked.answer);
  return asked;
}

constexpr raft::ServerId kLeader{0}, kSelf{1};
constexpr raft::Incarnation kLeaders{1}, kOwn{7};
constexpr raft::Term kTerm{2};

// A follower of kLeader, which has sent it a cluster. Its clock stands still unless a test moves
// it.
struct Follower final : node::Transport, node::Clients {
  enum class Tokens { needed, unneeded };

  test::MemFs fs;
  Instant now{seconds(1).ns};
  node::RecoveredNode recovery;
  std::unique_ptr<node::Node> node;
  const NoFigures figures;
  Context context{settings(), figures, now};
  KnownClient known;
  std::string text;
  std::optional<http::Parser> parser;

  const raft::Configuration two{{5, 5},
                                {{kLeader, "http://a:1", kLeaders}, {kSelf, "http://b:1", kOwn}}};

  explicit Follower(Tokens tokens = Tokens::needed) {
    start();
    append(1, raft::EntryType::bootstrap, raft::encode_configuration(two));
    if (tokens == Tokens::needed) enable();
  }
  // Also starts it again, with what is on its disk.
  void start() {
    auto recovered = node::recover(fs, kSelf, kOwn, {}, raft::Config{}.log_tail_entries);
    REQUIRE(recovered.ok());
    recovery = std::move(recovered.value());
    raft::Config config;
    config.self = kSelf;
    config.incarnation = kOwn;
    config.initial_voters = two.members;
    node = std::make_unique<node::Node>(config, raft::BootId(9), node::NodeLimits{}, recovery,
                                        *this, *this, now);
    REQUIRE(node->replay().ok());
    context.attach(*node);
  }
  void send(raft::ServerId, const node::PeerMessage&, raft::Channel) override {}
  void reply(const node::Ticket&, node::ClientReply) override {}
  void receive(raft::Message message) {
    node->post(node::FromPeer{kLeader, kLeaders, std::move(message)});
    for (int i = 0; i < 20; ++i) {
      REQUIRE(node->turn(now).ok());
      if (auto done = fs.run_one()) node->post(node::DiskDone{std::move(*done)});
    }
  }
  // Committed at once.
  void append(std::uint64_t index, raft::EntryType type, const std::string& payload) {
    raft::AppendEntries m{kTerm, raft::Index(index - 1), index == 1 ? raft::Term() : kTerm, {}, {},
                          {}};
    m.entries.push_back(raft::make_entry(raft::Index(index), kTerm, type, {}, {}, payload));
    receive(std::move(m));
    receive(raft::Heartbeat{kTerm, raft::Index(index)});
    REQUIRE(node->applied_index() == raft::Index(index));
  }
  void enable() {
    append(2, raft::EntryType::command,
           kv::encode(kv::EnableAuth{.hash = crypto::sha256("root-secret")}));
  }
  // Checks a head, as the next one of one connection.
  std::optional<Problem> begin(const std::string& line, const std::string& authorization,
                               HttpExchange& exchange) {
    text = line + " HTTP/1.1\r\nHost: localhost\r\n" + authorization + "\r\n";
    parser.emplace(http::Parser::Kind::request);
    std::size_t consumed = 0;
    REQUIRE(parser->parse(text, consumed) == http::Step::head);
    context.set_now(now);
    exchange.known_client = &known;
    return validate(context, parser->request(), exchange);
  }
  std::optional<Problem> go_on(HttpExchange& exchange,
                               const node::ClientReply& reply = node::ReadResult()) {
    REQUIRE(exchange.credential == Credential::unknown);
    return validate_again(context, parser->request(), exchange, reply);
  }
  // What the head of GET /status leads to. Nothing: it is served.
  std::optional<Problem> ask(const std::string& authorization) {
    HttpExchange exchange;
    auto problem = begin("GET /status", authorization, exchange);
    if (!problem && exchange.credential == Credential::unknown) problem = go_on(exchange);
    if (!problem) CHECK(exchange.identity == kv::Identity{"root", 2});
    return problem;
  }
  std::string code_of(const std::string& authorization) {
    const auto problem = ask(authorization);
    return problem ? std::string(problem->code) : "served";
  }
};

const std::string kRoot = "Authorization: Bearer root-secret\r\n";

}  // namespace

TEST_CASE("a node that has heard no leader for 60 s serves no token, whether it knows it or not") {
  for (const bool is_known : {false, true}) {
    Follower follower;
    if (is_known) {
      CHECK(follower.code_of(kRoot) == "served");
      CHECK(follower.known.identity == kv::Identity{"root", 2});
    }
    follower.now = follower.now + seconds(60);
    CHECK(follower.code_of(kRoot) == "served");
    follower.now = follower.now + milliseconds(1);
    CHECK(follower.code_of(kRoot) == "no_leader");
    CHECK(follower.code_of("Authorization: Bearer other\r\n") == "no_leader");
    CHECK(follower.code_of("") == "unauthorized");
    follower.receive(raft::Heartbeat{kTerm, raft::Index(2)});
    CHECK(follower.code_of(kRoot) == "served");
  }
}

TEST_CASE("a node that has heard no leader since it started serves no token") {
  Follower follower;
  follower.append(3, raft::EntryType::noop, {});  // with it, the disk learns what was committed
  follower.start();
  REQUIRE(needs_tokens(follower.context));
  const auto problem = follower.ask(kRoot);
  REQUIRE(problem);
  CHECK(problem->code == "no_leader");
  CHECK(problem->detail.find("since it started") != std::string::npos);
  follower.receive(raft::Heartbeat{kTerm, raft::Index(3)});
  CHECK(follower.code_of(kRoot) == "served");
}

TEST_CASE("a connection that repeats its credentials is asked for nothing more, others are") {
  Follower follower;
  CHECK(follower.code_of(kRoot) == "served");
  CHECK(follower.known.authorization == "Bearer root-secret");
  CHECK(follower.code_of(kRoot) == "served");
  CHECK(follower.code_of("Authorization: Bearer root-secre\r\n") == "unauthorized");
  CHECK(follower.code_of("Authorization: Bearer root-secreT\r\n") == "unauthorized");
  CHECK(follower.code_of("") == "unauthorized");
  CHECK(follower.code_of(kRoot + kRoot) == "unauthorized");
  CHECK(follower.code_of(kRoot) == "served");
  // Another secret has the same name from here on: the token that the connection knows is gone.
  follower.append(3, raft::EntryType::command,
                  kv::encode(kv::EnableAuth{crypto::sha256("new"), kv::EnableAuth::By::server}));
  CHECK(follower.code_of(kRoot) == "unauthorized");
}

TEST_CASE("a node that knows of no need for tokens asks the leader about a token, once") {
  Follower follower(Follower::Tokens::unneeded);
  const auto settles = [&](const std::string& line) {
    HttpExchange exchange;
    CHECK(!follower.begin(line, kRoot, exchange));
    CHECK(!exchange.identity);
    return exchange.credential == Credential::settled;
  };
  CHECK(settles("GET /status"));  // answered from this node's own state
  CHECK(!settles("GET /kv/a"));
  HttpExchange unanswered;
  CHECK(!follower.begin("PUT /kv/a", kRoot + "Content-Length: 1\r\n", unanswered));
  CHECK(!follower.go_on(unanswered, node::Refusal::timeout));
  CHECK(!unanswered.identity);
  HttpExchange answered;
  CHECK(!follower.begin("GET /kv/a", kRoot, answered));
  CHECK(!follower.go_on(answered));
  CHECK(settles("GET /kv/a"));
  // Another token, which is needed by the time at which the leader's answer is here.
  follower.known = {};
  HttpExchange exchange;
  CHECK(!follower.begin("PUT /kv/a", kRoot + "Content-Length: 1\r\n", exchange));
  follower.enable();
  CHECK(!follower.go_on(exchange));
  CHECK(exchange.identity == kv::Identity{"root", 2});
}

TEST_CASE("a request carries the token that it has, also while clients need none") {
  Follower follower;
  follower.append(3, raft::EntryType::command, kv::encode(kv::DisableAuth{}));
  for (int i = 0; i < 2; ++i) {
    HttpExchange exchange;
    CHECK(!follower.begin("GET /kv/a", kRoot, exchange));
    CHECK(exchange.credential == Credential::settled);
    CHECK(exchange.identity == kv::Identity{"root", 2});
  }
}

TEST_CASE("a closed node shows its page, and the methods of a path, once there are tokens") {
  Follower follower(Follower::Tokens::unneeded);
  follower.context.close_until_auth();
  for (const bool has_tokens : {false, true}) {
    if (has_tokens) follower.enable();
    for (const char* line : {"GET /ui/", "GET /favicon.ico", "OPTIONS /kv/a"}) {
      HttpExchange exchange;
      CHECK(follower.begin(line, "", exchange).has_value() == !has_tokens);
      CHECK(exchange.credential == Credential::settled);
    }
  }
}

TEST_CASE("a closed node calls a token wrong only after the leader was asked") {
  Follower follower(Follower::Tokens::unneeded);
  follower.context.close_until_auth();
  HttpExchange unanswered;
  CHECK(!follower.begin("GET /status", kRoot, unanswered));
  const auto refused = follower.go_on(unanswered, node::Refusal::timeout);
  REQUIRE(refused);
  CHECK(refused->code == "timeout");
  HttpExchange wrong;
  CHECK(!follower.begin("GET /status", kRoot, wrong));
  CHECK(follower.go_on(wrong)->code == "unauthorized");
  CHECK(wrong.credential == Credential::wrong);
  HttpExchange right;
  CHECK(!follower.begin("GET /status", kRoot, right));
  follower.enable();
  CHECK(!follower.go_on(right));
  CHECK(right.identity == kv::Identity{"root", 2});
}

TEST_CASE("a request waits for its credentials no longer than it may take") {
  Follower follower;
  const std::string other = "Authorization: Bearer other\r\n";
  const auto waits = [&](const std::string& line) {
    HttpExchange exchange;
    CHECK(!follower.begin(line, other, exchange));
    CHECK(exchange.credential == Credential::unknown);
    return exchange.timeout;
  };
  CHECK(waits("GET /kv/a") == seconds(5));
  CHECK(waits("GET /kv/a?timeout=300ms") == milliseconds(300));
  CHECK(waits("GET /status?timeout=300ms") == milliseconds(300));
  for (const char* query : {"timeout=1y", "timeout=9ms", "timeout=1s&timeout=1s", "timeout=1s&%z"})
    CHECK(waits(std::string("GET /kv/a?") + query) == seconds(5));
  CHECK(waits("GET /request") == milliseconds(850));
  CHECK(waits("GET /request?timeout=60s") == milliseconds(850));
  // Credentials come before parameters.
  HttpExchange wrong;
  CHECK(!follower.begin("GET /kv/a?timeout=1y", other, wrong));
  CHECK(follower.go_on(wrong)->code == "unauthorized");
}

TEST_CASE("the wait for the credentials is part of the time that a request may take") {
  for (const auto& [line, left] : {std::pair("GET /kv/a?timeout=2s", milliseconds(1500)),
                                   std::pair("GET /request", milliseconds(350)),
                                   std::pair("GET /kv/a?timeout=400ms", Duration{})}) {
    Follower follower(Follower::Tokens::unneeded);
    HttpExchange exchange;
    CHECK(!follower.begin(line, kRoot, exchange));
    follower.enable();
    follower.context.set_now(follower.now + milliseconds(500));
    CHECK(!follower.go_on(exchange));
    CHECK(exchange.timeout == left);
  }
}

TEST_CASE("a token comes as Bearer, or as the password of Basic") {
  CHECK(read({}).kind == Credentials::Kind::missing);
  CHECK(read({"Bearer t"}).secret == "t");
  CHECK(read({"bEARER   t-_.~+/="}).secret == "t-_.~+/=");
  CHECK(read({basic("user:t")}).secret == "t");
  CHECK(read({basic(":a:b")}).secret == "a:b");
  CHECK(read({"Bearer " + std::string(kMaxSecret, 'x')}).secret.size() == kMaxSecret);
}

TEST_CASE("other credentials are refused, and are not repeated") {
  for (const std::string& value :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer a b"),
        std::string("Bearer \xc3\xa4"), std::string("t"), std::string("Digest t"), basic("t"),
        basic("user:"), basic("user:a b"), std::string("Basic %%%"), std::string("Basic dTp0IA"),
        "Bearer " + std::string(kMaxSecret + 1, 'x'), basic(":" + std::string(2000, 'x'))}) {
    CAPTURE(value);
    CHECK(is_refused({value}));
  }
  CHECK(is_refused({"Bearer t", "Bearer t"}));
}

TEST_CASE("a closed node serves the enabling of auth from its own machine, and its probes") {
  for (const bool is_local : {false, true}) {
    for (const char* line :
         {"GET /kv/a", "PUT /kv/a", "GET /status", "GET /metrics", "GET /", "GET /watch",
          "POST /auth/tokens", "POST /auth/disable", "GET /ui/", "GET /ui", "GET /favicon.ico",
          "OPTIONS /kv/a", "OPTIONS *", "OPTIONS /ui/"}) {
      CAPTURE(line);
      const Asked asked = ask_closed(line, is_local);
      CHECK(says(asked, 401, "unauthorized"));
      CHECK(asked.answer.more_fields == "WWW-Authenticate: Bearer\r\n");
    }
    for (const char* line : {"GET /livez", "OPTIONS /livez"})
      CHECK(ask_closed(line, is_local).answer.status < 300);
  }
  CHECK(says(ask_closed("POST /auth/enable", false), 401, "unauthorized"));
  CHECK(is_accepted(ask_closed("POST /auth/enable", true)));
  // A proxy on this machine asks for somebody else.
  for (const char* fields : {"X-Forwarded-For: 203.0.113.9\r\n", "Forwarded: for=203.0.113.9\r\n",
                             "Via: 1.1 proxy\r\n", "X-Real-IP: 203.0.113.9\r\n"})
    CHECK(says(ask_closed("POST /auth/enable", true, &Context::close_until_auth, fields), 401,
               "unauthorized"));
}

TEST_CASE("a node that needed tokens tells nothing before it knows whether it still does") {
  for (const char* line : {"GET /kv/a", "GET /status", "HEAD /status", "GET /metrics", "GET /",
                           "GET /watch", "GET /trace", "GET /openapi.json", "POST /auth/enable"}) {
    CAPTURE(line);
    CHECK(is_accepted(ask_closed(line, true, &Context::close_until_tokens_known)));
  }
  for (const char* line : {"GET /livez", "GET /ui/", "OPTIONS /kv/a"})
    CHECK(ask_closed(line, true, &Context::close_until_tokens_known).answer.status < 300);
}

}  // namespace test_access
