// Both ends of a link over the loopback, each with an owner that only takes notes: no node, no set
// of peers.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/parser.hpp"
#include "http/serializer.hpp"
#include "peer/in_link.hpp"
#include "peer/out_link.hpp"
#include "peer/paced_lines.hpp"
#include "support/loop_until.hpp"
#include "support/loopback.hpp"

using namespace vesper;
using namespace vesper::peer;

namespace {

class Notes final : public LinkEvents {
 public:
  explicit Notes(std::uint32_t self, bool keyed) : self_(self), keyed_(keyed) {}

  Hello hello_to(raft::ServerId to, Channel channel) const override {
    Hello hello;
    hello.self.number = raft::ServerId(self_);
    hello.self.node = raft::NodeId(self_);
    hello.self.address = "http://127.0.0.1:1";
    hello.to = to;
    hello.self.incarnation = raft::Incarnation(self_ + 1);
    hello.boot = raft::BootId(self_ + 10);
    hello.boot_number = self_ + 20;
    hello.channel = channel;
    hello.standing = standing;
    hello.keyed = keyed_;
    hello.nonce = Id128{self_ + 1, 7};
    return hello;
  }
  node::AcceptorVerdict judge(const Hello& ours, const Hello&, const HostPort&) const override {
    if (verdict) return *verdict;
    return node::PeerIs{ours.to};
  }
  void met_other(raft::ServerId, const HostPort& dialled, const Hello&,
                 const node::AcceptorVerdict& who) override {
    others.push_back(who);
    dialled_other = dialled;
  }
  void told_to_have_left(const Hello&) override { ++farewells; }
  void has_output(OutLink& link) override { marked.push_back(&link); }
  void link_up(OutLink&) override { ++ups; }
  void link_ended(OutLink&) override { ++downs; }
  void dial_refused(raft::ServerId) override { ++dials_refused; }
  void met_boot(raft::ServerId, raft::BootId boot) override { met = boot; }
  void learn_boots(raft::ServerId, const Hello& theirs) override { learned = theirs.boot_number; }
  void said_unproven(raft::ServerId, std::optional<raft::PeerState> state) override {
    said = state;
  }
  std::string refused_by(raft::ServerId, const std::string& body) override {
    return refusal = body;
  }
  void in_proven(InLink&) override { ++proven; }
  void in_broken(const InLink&, const std::string& why) override { broken = why; }
  void in_ended(InLink&) override { ++in_ends; }
  void received(const InLink&, node::PeerMessage message) override {
    messages.push_back(std::move(message));
  }
  void bury(std::unique_ptr<io::Stream> stream) override { buried.push_back(std::move(stream)); }

  std::vector<OutLink*> marked;
  std::vector<node::PeerMessage> messages;
  std::vector<std::unique_ptr<io::Stream>> buried;
  raft::BootId met;
  std::uint64_t learned = 0;  // the number of the peer's start
  std::optional<raft::PeerState> said;
  std::string refusal, broken;
  std::optional<node::AcceptorVerdict> verdict;  // nothing: it is the expected member
  std::vector<node::AcceptorVerdict> others;
  HostPort dialled_other;                 // where the last of them has answered
  Standing standing = Standing::welcome;  // what the other side is told
  int farewells = 0;
  int ups = 0, downs = 0, dials_refused = 0, proven = 0, in_ends = 0;

 private:
  const std::uint32_t self_;
  const bool keyed_;
};

// Server 0 dials server 1, which answers each handshake, or refuses it. With `old_port` it dials
// server 1 there first.
class Pair {
 public:
  Pair(std::string dialler_key, std::string acceptor_key,
       std::optional<std::uint16_t> old_port = {})
      : dialler_key_(std::move(dialler_key)),
        acceptor_key_(std::move(acceptor_key)),
        old_port_(old_port) {
    loop_.set_events({io::Delegate<bool>::to<&Pair::busy>(this),
                      io::Delegate<void, io::Deadline>::to<&Pair::on_turn>(this),
                      {},
                      {}});
  }
  ~Pair() { out.close(); }

  void listen() { REQUIRE(listener_.listen({test::loopback(port_)}, 8).ok()); }
  // What listens at the old port gives this answer to all. It hangs up instead if that is empty.
  void answer_at_old_port(std::string answer) {
    old_answer_ = std::move(answer);
    REQUIRE(old_listener_.listen({test::loopback(*old_port_)}, 8).ok());
  }
  HostPort here() const { return {"127.0.0.1", port_}; }
  bool until(std::function<bool()> holds) { return until_.run(std::move(holds)); }
  InLink& in() { return *in_; }

  const std::string dialler_key_, acceptor_key_;
  Notes dialler{0, !dialler_key_.empty()}, acceptor{1, !acceptor_key_.empty()};
  std::string refuse_with;  // not empty: the body of a refusal

 private:
  bool busy() { return !dialler.marked.empty(); }
  void on_turn(io::Deadline) {
    for (OutLink* link : std::exchange(dialler.marked, {})) link->flush();
    until_.end_turn();
  }
  void on_waiting() {
    greeted_ = std::make_unique<io::Stream>(loop_);
    if (!listener_.accept(*greeted_)) return;
    parser_ = std::make_unique<http::Parser>(http::Parser::Kind::request);
    greeted_->set_events({io::Delegate<void, std::string_view>::to<&Pair::on_bytes>(this),
                          io::Delegate<void>::to<&Pair::on_ended>(this),
                          io::Delegate<void, int>::to<&Pair::on_failed>(this),
                          {}});
    greeted_->read_start();
  }
  void on_waiting_at_old_port() {
    old_.push_back(std::make_unique<io::Stream>(loop_));
    if (!old_listener_.accept(*old_.back())) return;
    if (old_answer_.empty()) return old_.back()->close();
    old_.back()->text() += old_answer_;
    old_.back()->flush();
  }
  void on_ended() {}
  void on_failed(int) {}
  void on_bytes(std::string_view bytes) {
    std::size_t consumed = 0;
    REQUIRE(parser_->parse(bytes, consumed) == http::Step::head);
    const auto theirs = read_hello(parser_->request().fields);
    REQUIRE(theirs.ok());
    std::string& text = greeted_->text();
    if (!refuse_with.empty()) {
      http::begin_response(text, 403);
      http::append_field(text, "Vesper-Boot", to_hex(std::uint64_t{11}));
      append_state(text, raft::PeerState{Id128{1, 2}, raft::Term(3), raft::Index(4)});
      http::append_field(text, "Content-Length", refuse_with.size());
      http::end_head(text);
      text += refuse_with;
      greeted_->flush();
      return;
    }
    const Hello ours = acceptor.hello_to(theirs->self.number, theirs->channel);
    const Agreement agreement = agree(acceptor_key_, *theirs, ours);
    http::begin_response(text, 101);
    text += "Connection: Upgrade\r\n";
    http::append_field(text, "Upgrade", kPeerProtocol);
    append_hello(text, ours);
    if (!acceptor_key_.empty())
      http::append_field(text, "Vesper-Proof", crypto::hex_of(agreement.acceptor_proof));
    http::end_head(text);
    in_ = std::make_unique<InLink>(accepted_, std::move(greeted_), ours, *theirs, agreement.secret);
    in_->flush();
    if (consumed < bytes.size()) in_->take(bytes.substr(consumed));
  }

  OutLink::Target target() const {
    if (!old_port_) return {raft::ServerId(1), "server 1", here(), {}};
    return {raft::ServerId(1), "server 1", {"127.0.0.1", *old_port_}, here()};
  }

  const std::optional<std::uint16_t> old_port_;
  const std::uint16_t port_ = test::free_port();
  io::Loop loop_;
  io::Listener listener_{loop_, io::Delegate<void>::to<&Pair::on_waiting>(this)};
  io::Listener old_listener_{loop_, io::Delegate<void>::to<&Pair::on_waiting_at_old_port>(this)};
  std::string old_answer_;
  std::vector<std::unique_ptr<io::Stream>> old_;
  test::LoopUntil until_{loop_};
  const LinkContext dialling_{loop_, dialler, dialler_key_, milliseconds(150)};
  const LinkContext accepted_{loop_, acceptor, acceptor_key_, milliseconds(150)};
  std::unique_ptr<io::Stream> greeted_;
  std::unique_ptr<http::Parser> parser_;
  std::unique_ptr<InLink> in_;

 public:
  OutLink out{dialling_, target(), Channel::control};
};

node::PeerMessage question(std::uint64_t previous) {
  node::Forward forward;
  forward.term = raft::Term(5);
  forward.boot = raft::BootId(6);
  forward.previous = previous;
  return forward;
}

}  // namespace

TEST_CASE("a link is up after the handshake and carries messages in order") {
  for (const char* key : {"", "a key of all servers"}) {
    Pair pair(key, key);
    pair.listen();
    CHECK(!pair.out.send(question(1)));  // not up: dropped
    pair.out.dial();
    REQUIRE(pair.until([&] { return pair.out.up() && pair.acceptor.proven == 1; }));
    CHECK(pair.dialler.ups == 1);
    CHECK(pair.dialler.met == raft::BootId(11));
    CHECK(pair.dialler.learned == 21);
    CHECK(pair.in().proven());
    for (const std::uint64_t previous : {1u, 2u, 3u}) CHECK(pair.out.send(question(previous)));
    REQUIRE(pair.until([&] { return pair.acceptor.messages.size() == 3; }));
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(std::get<node::Forward>(pair.acceptor.messages[i]).previous == i + 1);
  }
}

TEST_CASE("servers with different keys cannot connect") {
  Pair pair("a key of one server", "another key of it");
  pair.listen();
  pair.out.dial();
  REQUIRE(pair.until([&] { return pair.acceptor.in_ends == 1; }));
  CHECK(!pair.out.up());
  CHECK(pair.dialler.ups == 0);
  CHECK(pair.acceptor.proven == 0);
}

TEST_CASE("a refusal is reported with its body and with the peer's state, which no proof covers") {
  Pair pair("", "");
  pair.refuse_with = "{\"detail\":\"no\"}\n";
  pair.listen();
  pair.out.dial();
  REQUIRE(pair.until([&] { return !pair.dialler.refusal.empty(); }));
  CHECK(pair.dialler.refusal == pair.refuse_with);
  CHECK(pair.dialler.met == raft::BootId(11));
  REQUIRE(pair.dialler.said.has_value());
  CHECK(pair.dialler.said->last_index == raft::Index(4));
  CHECK(!pair.out.up());
}

TEST_CASE("an address on which no process listens is reported") {
  Pair pair("", "");
  pair.out.dial();
  CHECK(pair.until([&] { return pair.dialler.dials_refused > 0; }));
}

TEST_CASE("a peer that is not at its first address is found at the other one in the same dial") {
  Pair pair("", "", test::free_port());
  pair.listen();
  pair.out.dial();
  REQUIRE(pair.until([&] { return pair.out.up(); }));
  CHECK(pair.dialler.dials_refused == 0);
}

TEST_CASE("a member of the list may be elsewhere, but never without the TLS of the list") {
  const HostPort own{"here", 1};
  const auto other = [&](const HostPort& listed, const HostPort& given) {
    OutLink::Target target{raft::ServerId(1), "server 1", given, {}};
    target.prefer(listed, own);
    CHECK(target.address == listed);
    return target.other;
  };
  const HostPort plain{"a", 1}, secure{"a", 1, Scheme::https};
  const HostPort moved{"b", 1}, moved_secure{"b", 1, Scheme::https};
  CHECK(other(plain, moved) == moved);
  CHECK(other(plain, moved_secure) == moved_secure);
  CHECK(other(secure, moved_secure) == moved_secure);
  CHECK_FALSE(other(secure, moved));
  CHECK_FALSE(other(secure, plain));
  CHECK_FALSE(other(plain, secure));
  CHECK_FALSE(other(plain, plain));
  CHECK_FALSE(other(plain, own));
}

TEST_CASE("a peer that has moved is found, whatever accepts connections at its first address") {
  for (const char* answer :
       {"", "no HTTP\r\n\r\n", "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"}) {
    Pair pair("", "", test::free_port());
    pair.listen();
    pair.answer_at_old_port(answer);
    pair.out.dial();
    CHECK(pair.until([&] { return pair.out.up(); }));
    CHECK(pair.out.address() == pair.here());
  }
}

TEST_CASE("a peer that listens at neither of its addresses is reported once for each dial") {
  Pair pair("", "", test::free_port());
  pair.out.dial();
  CHECK(pair.until([&] { return pair.dialler.dials_refused > 0; }));
  CHECK(pair.dialler.dials_refused == 1);
}

TEST_CASE("a link that ends is reported and dialled again") {
  Pair pair("", "");
  pair.listen();
  pair.out.dial();
  REQUIRE(pair.until([&] { return pair.acceptor.proven == 1; }));
  pair.in().close();
  CHECK(pair.acceptor.in_ends == 1);
  REQUIRE(pair.until([&] { return pair.acceptor.proven == 2; }));
  CHECK(pair.dialler.downs == 1);
  CHECK(pair.until([&] { return pair.dialler.ups == 2; }));
}

TEST_CASE("another server at the address is reported, and an empty one learns of the cluster") {
  for (const char* key : {"", "a key of all servers"}) {
    Pair pair(key, key);
    pair.listen();
    const node::AcceptorVerdict lost = node::PeerLostDisk{raft::ServerId(1), raft::Incarnation(2)};
    pair.dialler.verdict = lost;
    pair.out.dial();
    REQUIRE(pair.until([&] { return pair.acceptor.proven == 1; }));
    REQUIRE(pair.dialler.others.size() == 1);
    CHECK(pair.dialler.others[0] == lost);
    CHECK(pair.dialler.dialled_other == pair.here());
    CHECK(pair.dialler.ups == 0);
    // Another member is none of this link's business: it sees no proof.
    pair.dialler.verdict = node::PeerIsAnother{};
    REQUIRE(pair.until([&] { return pair.dialler.others.size() == 2; }));
    CHECK(pair.acceptor.proven == 1);
    pair.dialler.verdict.reset();
    CHECK(pair.until([&] { return pair.dialler.ups == 1; }));
  }
}

TEST_CASE("a server that has left is told so, under proof of the key") {
  Pair pair("a key of all servers", "a key of all servers");
  pair.listen();
  pair.acceptor.standing = Standing::left;
  pair.out.dial();
  REQUIRE(pair.until([&] { return pair.dialler.farewells == 1; }));
  CHECK(pair.dialler.ups == 0);
  Pair liar("a key of all servers", "another key of it");
  liar.listen();
  liar.acceptor.standing = Standing::left;
  liar.out.dial();
  REQUIRE(liar.until([&] { return liar.acceptor.in_ends == 1; }));
  CHECK(liar.dialler.farewells == 0);
}

TEST_CASE("lines about one peer are a minute apart, and say how many were held back") {
  PacedLines lines;
  const Instant begin = Instant{} + seconds(100);
  CHECK(lines.admit("a", begin) == 0);
  CHECK(lines.admit("b", begin) == 0);
  for (int i = 1; i < 60; ++i) CHECK_FALSE(lines.admit("a", begin + seconds(i)));
  CHECK(lines.admit("a", begin + seconds(60)) == 59);
  CHECK_FALSE(lines.admit("a", begin + seconds(61)));
  CHECK(lines.admit("a", begin + seconds(121)) == 1);
  CHECK(lines.admit("b", begin + seconds(121)) == 0);
}

TEST_CASE("what is kept about lines is bounded, and too many names share one line a minute") {
  PacedLines lines;
  const Instant begin = Instant{} + seconds(100);
  std::size_t logged = 0;
  for (int i = 0; i < 1'000; ++i)
    if (lines.admit(std::to_string(i), begin)) ++logged;
  CHECK(logged == PacedLines::kMost + 1);
  CHECK(lines.size() == PacedLines::kMost + 1);
  CHECK(lines.admit("new", begin + seconds(60)) == 0);
  CHECK(lines.size() <= 2);
}
