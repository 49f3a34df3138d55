// A stream of a dialler, which is in the budget of TLS until it is trusted, over the loopback.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "crypto/authority.hpp"
#include "io/stream.hpp"
#include "io/tls_budget.hpp"
#include "support/loop_until.hpp"
#include "support/loopback.hpp"

using namespace vesper;

namespace {

crypto::TlsContext context_of_acceptor() {
  const crypto::Credential authority = crypto::make_authority();
  const auto node =
      crypto::issue(authority, "node", {"127.0.0.1"}, crypto::CertificateUse::server).value();
  crypto::TlsMaterial material;
  material.certificate = node.certificate;
  material.key = node.key;
  material.authorities = authority.certificate;
  return crypto::TlsContext::acceptor(material).value();
}

crypto::TlsContext context_of_dialler() {
  crypto::TlsMaterial material;
  material.check = crypto::ServerCheck::unchecked;
  return crypto::TlsContext::dialler(material).value();
}

// The budget never begins a turn unless the test does that.
class BudgetedStream {
 public:
  BudgetedStream() {
    loop_.set_events({io::Delegate<bool>::to<&BudgetedStream::busy>(this),
                      io::Delegate<void, io::Deadline>::to<&BudgetedStream::on_turn>(this),
                      {},
                      {}});
    REQUIRE(listener_.listen({test::loopback(port_)}, 8).ok());
    dialled.secure(crypto::TlsSession::dial(dialler_, "127.0.0.1"));
    dialled.set_events({io::Delegate<void, std::string_view>::to<&BudgetedStream::ignore>(this),
                        io::Delegate<void>::to<&BudgetedStream::on_ended>(this),
                        io::Delegate<void, int>::to<&BudgetedStream::on_failed>(this),
                        {}});
    dialled.connect(test::loopback(port_),
                    io::Delegate<void, int>::to<&BudgetedStream::on_connected>(this));
    REQUIRE(until([&] {
      return accepted != nullptr && accepted->tls()->state() == crypto::TlsSession::State::open &&
             dialled.tls()->state() == crypto::TlsSession::State::open;
    }));
  }

  // Each byte in a record of its own.
  void send(std::string_view text) {
    for (const char byte : text) {
      dialled.text() += byte;
      dialled.flush();
    }
  }
  bool until(std::function<bool()> holds) { return until_.run(std::move(holds)); }

 private:
  bool busy() { return false; }
  void on_turn(io::Deadline) { until_.end_turn(); }
  void on_waiting() {
    accepted = std::make_unique<io::Stream>(loop_);
    if (!listener_.accept(*accepted)) return;
    accepted->secure(crypto::TlsSession::accept(acceptor_), budget);
    accepted->set_events({io::Delegate<void, std::string_view>::to<&BudgetedStream::on_bytes>(this),
                          io::Delegate<void>::to<&BudgetedStream::on_ended>(this),
                          io::Delegate<void, int>::to<&BudgetedStream::on_failed>(this),
                          {}});
    accepted->read_start();
  }
  void on_connected(int error) { REQUIRE(error == 0); }
  void on_bytes(std::string_view bytes) { received += bytes; }
  void ignore(std::string_view) {}
  void on_ended() {}
  void on_failed(int) {}

  const std::uint16_t port_ = test::free_port();
  const crypto::TlsContext acceptor_ = context_of_acceptor();
  const crypto::TlsContext dialler_ = context_of_dialler();
  io::Loop loop_;
  io::Listener listener_{loop_, io::Delegate<void>::to<&BudgetedStream::on_waiting>(this)};
  test::LoopUntil until_{loop_};

 public:
  io::TlsBudget budget;
  std::string received;
  io::Stream dialled{loop_};
  std::unique_ptr<io::Stream> accepted;
};

}  // namespace

TEST_CASE("a stream that leaves the budget while bytes wait gets all of them, and waits no more") {
  BudgetedStream pair;
  std::string text(6000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
  pair.send(text);
  REQUIRE(pair.until([&] { return pair.budget.busy(); }));
  CHECK(pair.received.size() < text.size());
  pair.accepted->leave_budget();
  CHECK(pair.accepted->awaits_budget());  // what waits is not handled within the call
  pair.budget.begin_turn();
  REQUIRE(pair.until([&] { return pair.received.size() == text.size(); }));
  CHECK(pair.received == text);
  pair.send(text);
  REQUIRE(pair.until([&] { return pair.received.size() == 2 * text.size(); }));
  CHECK(!pair.budget.busy());
}

TEST_CASE("a stream in the budget that is closed while its bytes wait is forgotten there") {
  BudgetedStream pair;
  pair.send(std::string(6000, 'x'));
  REQUIRE(pair.until([&] { return pair.budget.busy(); }));
  pair.accepted->leave_budget();
  pair.accepted->close();
  CHECK(!pair.budget.busy());
}

TEST_CASE("a stream knows whom it was connected to after the other side has reset it") {
  BudgetedStream pair;
  const std::uint16_t port = pair.dialled.local().port();
  pair.dialled.reset();
  REQUIRE(pair.until([&] { return !pair.accepted->is_open(); }));
  CHECK(pair.accepted->peer().port() == port);
  CHECK(pair.accepted->peer().is_loopback());
  CHECK(!io::Address().is_known());
}

TEST_CASE("addresses have the same host whatever the ports, and unknown ones share none") {
  const auto v4 = [](const char* host, int port) {
    sockaddr_in address{};
    uv_ip4_addr(host, port, &address);
    return io::Address(reinterpret_cast<const sockaddr*>(&address));
  };
  const auto v6 = [](const char* host, int port) {
    sockaddr_in6 address{};
    uv_ip6_addr(host, port, &address);
    return io::Address(reinterpret_cast<const sockaddr*>(&address));
  };
  CHECK(v4("10.0.0.1", 1).has_host_of(v4("10.0.0.1", 2)));
  CHECK(!v4("10.0.0.1", 1).has_host_of(v4("10.0.0.2", 1)));
  CHECK(v6("fd00::1", 1).has_host_of(v6("fd00::1", 2)));
  CHECK(!v6("fd00::1", 1).has_host_of(v6("fd00::2", 1)));
  CHECK(!v4("10.0.0.1", 1).has_host_of(v6("::ffff:10.0.0.1", 1)));
  CHECK(!io::Address().has_host_of(io::Address()));
}
