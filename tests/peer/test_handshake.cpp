// The handshake between peers: what is said is read back, and both sides derive the same.
#include <doctest/doctest.h>

#include <string>

#include "http/parser.hpp"
#include "peer/handshake.hpp"

using namespace vesper;
using namespace vesper::peer;

namespace {

Hello sample() {
  Hello hello;
  hello.self.state = {Id128{1, 2}, raft::Term(12), raft::Index(13)};
  hello.self.number = raft::ServerId(3);
  hello.self.node = raft::NodeId(2);
  hello.self.address = "http://[::1]:5000";
  hello.to = raft::ServerId(4);
  hello.self.incarnation = raft::Incarnation(5);
  hello.boot = raft::BootId(6);
  hello.boot_number = 21;
  hello.boot_seen = {raft::Incarnation(22), 23, raft::BootId(24)};
  hello.list_hash = 7;
  hello.channel = Channel::bulk;
  hello.keyed = true;
  hello.nonce = Id128{8, 9};
  return hello;
}

Result<Hello> round_trip(const std::string& fields) {
  const std::string text = "GET /raft HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  http::Parser parser(http::Parser::Kind::request);
  std::size_t consumed = 0;
  if (parser.parse(text, consumed) != http::Step::head) return Error{"no head"};
  return read_hello(parser.request().fields);
}

std::string fields_of(const Hello& hello) {
  std::string text;
  append_hello(text, hello);
  return text;
}

std::string without(std::string text, const std::string& name) {
  const std::size_t at = text.find(name);
  return text.erase(at, text.find("\r\n", at) + 2 - at);
}

}  // namespace

TEST_CASE("a hello is read back as it was written") {
  const auto hello = round_trip(fields_of(sample()));
  REQUIRE(hello.ok());
  CHECK(fields_of(*hello) == fields_of(sample()));
  Hello fresh = sample();
  fresh.self.state = {};
  fresh.self.number = raft::kNoServer;
  fresh.self.node.reset();
  fresh.standing = Standing::left;
  fresh.boot_seen = {};
  const auto again = round_trip(fields_of(fresh));
  REQUIRE(again.ok());
  CHECK(again->self.state == raft::PeerState{});
  CHECK(again->self.number == raft::kNoServer);
  CHECK_FALSE(again->self.node.has_value());
  CHECK(again->standing == Standing::left);
  CHECK(again->boot_seen == SeenBoot{});
}

TEST_CASE("the error about a missing, repeated or malformed field names it") {
  const std::string good = fields_of(sample());
  for (const char* name :
       {"Vesper-Protocol", "Vesper-Features", "Vesper-Cluster", "Vesper-Term", "Vesper-Last-Index",
        "Vesper-From", "Vesper-To", "Vesper-Id", "Vesper-Address", "Vesper-Incarnation",
        "Vesper-Boot", "Vesper-Boot-Number", "Vesper-Boot-Seen", "Vesper-List", "Vesper-Channel",
        "Vesper-Standing", "Vesper-Auth", "Vesper-Nonce"}) {
    const auto missing = round_trip(without(good, name));
    REQUIRE(!missing.ok());
    CHECK(missing.error().what.find(name) != std::string::npos);
    const auto wrong = round_trip(without(good, name) + name + ": ?\r\n");
    REQUIRE(!wrong.ok());
    CHECK(wrong.error().what.find(name) != std::string::npos);
    const std::size_t at = good.find(name);
    const auto twice = round_trip(good + good.substr(at, good.find("\r\n", at) + 2 - at));
    REQUIRE(!twice.ok());
    CHECK(twice.error().what.find(name) != std::string::npos);
  }
}

TEST_CASE("a start that is not incarnation, number and boot id is malformed") {
  const std::string rest = without(fields_of(sample()), "Vesper-Boot-Seen");
  const auto read = [&](const std::string& seen) {
    return round_trip(rest + "Vesper-Boot-Seen: " + seen + "\r\n").ok();
  };
  CHECK(read("none"));
  CHECK(read("0000000000000016 23 0000000000000018"));
  for (const char* bad :
       {"", "0000000000000016", "0000000000000016 23", "0000000000000000 23 0000000000000018",
        "0000000000000016 23 18", "16 23 0000000000000018", "0000000000000016 x 0000000000000018",
        "0000000000000016 9223372036854775807 0000000000000018",
        "0000000000000016 23 4 0000000000000018"}) {
    CAPTURE(bad);
    CHECK_FALSE(read(bad));
  }
}

TEST_CASE("both sides derive the same secret, and a change in any field gives another one") {
  const Hello dialler = sample();
  Hello acceptor = sample();
  acceptor.self.number = dialler.to;
  acceptor.to = dialler.self.number;
  acceptor.nonce = Id128{10, 11};
  const Agreement agreed = agree("a key of all servers", dialler, acceptor);
  CHECK(agreed.secret.key == agree("a key of all servers", dialler, acceptor).secret.key);
  CHECK(agreed.secret.key != agreed.acceptor_proof);
  Hello changed = dialler;
  changed.nonce.low ^= 1;
  CHECK(agreed.secret.key != agree("a key of all servers", changed, acceptor).secret.key);
  for (const auto change :
       {+[](Hello& hello) { ++hello.boot_number; }, +[](Hello& hello) { ++hello.boot_seen.number; },
        +[](Hello& hello) { hello.boot_seen = {}; }}) {
    changed = dialler;
    change(changed);
    CHECK(agreed.secret.key != agree("a key of all servers", changed, acceptor).secret.key);
  }
  changed = dialler;
  changed.channel = Channel::control;
  CHECK(agreed.secret.key != agree("a key of all servers", changed, acceptor).secret.key);
  changed = dialler;
  changed.self.address = "http://[::1]:5001";
  CHECK(agreed.secret.key != agree("a key of all servers", changed, acceptor).secret.key);
  changed = dialler;
  changed.standing = Standing::left;
  CHECK(agreed.secret.key != agree("a key of all servers", changed, acceptor).secret.key);
  CHECK(agreed.secret.key != agree("another key", dialler, acceptor).secret.key);
  CHECK(agreed.acceptor_proof != agree("another key", dialler, acceptor).acceptor_proof);
  const Agreement open = agree("", dialler, acceptor);
  CHECK(open.secret.seed != agree("", changed, acceptor).secret.seed);
}

TEST_CASE("servers without a cluster must have the same list, others need not") {
  Hello ours = sample();
  Hello theirs = sample();
  CHECK_FALSE(refuse_hello(ours, theirs));
  theirs.list_hash = 8;
  CHECK_FALSE(refuse_hello(ours, theirs));
  ours.self.state = {};
  CHECK_FALSE(refuse_hello(ours, theirs));  // this server is new or has lost its disk
  theirs.self.state = {};
  REQUIRE(refuse_hello(ours, theirs));
  CHECK(refuse_hello(ours, theirs)->detail.find("a different list") != std::string::npos);
}

TEST_CASE("a second process of one member is refused with both starts, or both incarnations") {
  const Hello connected = sample();
  Hello theirs = sample();
  theirs.boot = raft::BootId(77);
  theirs.boot_number = 22;
  theirs.self.address = "http://[::2]:5000";
  CHECK(refuse_second_process(connected, theirs).detail ==
        "two processes run on copies of the data directory of server 2: start 21 at "
        "http://[::1]:5000 is connected, and start 22 at http://[::2]:5000 tries to connect");
  theirs.self.incarnation = raft::Incarnation(6);
  CHECK(refuse_second_process(connected, theirs).detail ==
        "another process calls itself server 2: incarnation 0000000000000005 is connected, and "
        "incarnation 0000000000000006 tries to connect");
}
