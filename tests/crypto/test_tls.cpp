// Sessions of TLS against each other in memory: what they exchange, and each refusal.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "crypto/authority.hpp"
#include "crypto/tls.hpp"

using namespace vesper;
using namespace vesper::crypto;
using State = TlsSession::State;
using Authority = TlsSession::Authority;

namespace {

// Keys take long to make without optimization, so the tests share them.
const Credential& our_authority() {
  static const Credential made = make_authority();
  return made;
}
const Credential& other_authority() {
  static const Credential made = make_authority();
  return made;
}
const Credential& node() {
  static const Credential made =
      issue(our_authority(), "node", {"node.example", "10.0.0.7", "fd00::7"},
            CertificateUse::server)
          .value();
  return made;
}
const Credential& client() {
  static const Credential made =
      issue(our_authority(), "client", {}, CertificateUse::client).value();
  return made;
}
const Credential& stranger() {
  static const Credential made =
      issue(other_authority(), "stranger", {"node.example"}, CertificateUse::server).value();
  return made;
}

TlsMaterial material_of(const Credential& own, const Credential& trusted) {
  TlsMaterial material;
  material.certificate = own.certificate;
  material.key = own.key;
  material.authorities = trusted.certificate;
  return material;
}

TlsMaterial dialler_material() {
  TlsMaterial material;
  material.authorities = our_authority().certificate;
  return material;
}

// Both sides of a connection. Plain text gathers in `read_by_...`.
struct Pair {
  TlsSession acceptor, dialler;
  std::string read_by_acceptor, read_by_dialler;

  Pair(const TlsMaterial& accepts, const TlsMaterial& dials, const std::string& host)
      : acceptor(TlsSession::accept(TlsContext::acceptor(accepts).value())),
        dialler(TlsSession::dial(TlsContext::dialler(dials).value(), host)) {
    dialler.start();
  }

  // Moves bytes from one side to the other, `step` at a time.
  static bool move(TlsSession& from, TlsSession& to, std::string& read, std::size_t step) {
    const std::string bytes = std::exchange(from.output(), {});
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      char room[1000];
      to.feed(std::string_view(bytes).substr(at, step));
      while (const std::size_t got = to.read(room)) read.append(room, got);
      to.feed({});
    }
    return !bytes.empty();
  }

  void run(std::size_t step = 100'000) {
    while (move(dialler, acceptor, read_by_acceptor, step) ||
           move(acceptor, dialler, read_by_dialler, step))
      continue;
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("two sides that trust each other exchange plain text") {
  TlsMaterial accepts = material_of(node(), our_authority());
  for (const char* host : {"node.example", "10.0.0.7", "fd00::7"}) {
    CAPTURE(host);
    Pair pair(accepts, dialler_material(), host);
    CHECK(pair.acceptor.state() == State::handshaking);
    pair.run();
    REQUIRE(pair.acceptor.state() == State::open);
    REQUIRE(pair.dialler.state() == State::open);
    CHECK(pair.dialler.names(host));
    CHECK_FALSE(pair.acceptor.has_certificate());
    pair.dialler.write("GET / HTTP/1.1\r\n\r\n");
    pair.acceptor.write("early ");
    pair.acceptor.write("answer");
    pair.run();
    CHECK(pair.read_by_acceptor == "GET / HTTP/1.1\r\n\r\n");
    CHECK(pair.read_by_dialler == "early answer");
  }
}

TEST_CASE("neither the sizes of the pieces nor the length of a text matters") {
  Pair pair(material_of(node(), our_authority()), dialler_material(), "node.example");
  pair.run(1);
  REQUIRE(pair.dialler.state() == State::open);
  std::string large(300'000, 'x');
  large[150'000] = 'y';
  pair.acceptor.trim();
  pair.dialler.trim();
  pair.acceptor.write(large);
  CHECK(pair.acceptor.output().size() > large.size());
  CHECK_FALSE(has(pair.acceptor.output(), "xxxx"));
  pair.run(777);
  CHECK(pair.read_by_dialler == large);
}

TEST_CASE("one side ends, and the other may still write") {
  Pair pair(material_of(node(), our_authority()), dialler_material(), "node.example");
  pair.run();
  pair.dialler.write("last request");
  pair.dialler.end();
  pair.run();
  CHECK(pair.read_by_acceptor == "last request");
  CHECK(pair.acceptor.state() == State::ended);
  pair.acceptor.write("answer");
  pair.acceptor.end();
  pair.run();
  CHECK(pair.read_by_dialler == "answer");
  CHECK(pair.dialler.state() == State::ended);
}

TEST_CASE("a dialler refuses a server that another authority has signed, and both know it") {
  Pair pair(material_of(stranger(), our_authority()), dialler_material(), "node.example");
  pair.run();
  REQUIRE(pair.dialler.state() == State::failed);
  CHECK(has(pair.dialler.error(), "CN=stranger"));
  CHECK(has(pair.dialler.error(), "is not trusted"));
  REQUIRE(pair.acceptor.state() == State::failed);
  CHECK(has(pair.acceptor.error(), "does not trust the authority of this side's certificate"));
  CHECK(pair.read_by_acceptor.empty());

  // What an acceptor demands makes no difference to a dialler.
  TlsMaterial dials = dialler_material();
  dials.demand = CertificateDemand::optional;
  Pair again(material_of(stranger(), our_authority()), dials, "node.example");
  again.run();
  CHECK(again.dialler.state() == State::failed);
}

TEST_CASE("a dialler refuses a certificate that does not name the server") {
  for (const char* host : {"other.example", "10.0.0.8", "example"}) {
    CAPTURE(host);
    Pair pair(material_of(node(), our_authority()), dialler_material(), host);
    pair.run();
    REQUIRE(pair.dialler.state() == State::failed);
    CHECK(has(pair.dialler.error(), std::string("does not name ") + host));
    CHECK(pair.acceptor.state() == State::failed);
  }
}

TEST_CASE("an unchecked dialler believes any server") {
  TlsMaterial dials = dialler_material();
  dials.check = ServerCheck::unchecked;
  Pair pair(material_of(stranger(), our_authority()), dials, "other.example");
  pair.run();
  CHECK(pair.dialler.state() == State::open);
  CHECK(pair.acceptor.state() == State::open);
}

TEST_CASE("an acceptor that demands a certificate refuses a dialler without a trusted one") {
  TlsMaterial accepts = material_of(node(), our_authority());
  accepts.demand = CertificateDemand::required;
  Pair none(accepts, dialler_material(), "node.example");
  none.run();
  REQUIRE(none.acceptor.state() == State::failed);
  CHECK(none.acceptor.error() == "the other side has no certificate");
  REQUIRE(none.dialler.state() == State::failed);
  CHECK(has(none.dialler.error(), "demands a certificate"));
  CHECK(none.dialler.was_refused());

  TlsMaterial untrusted = material_of(stranger(), our_authority());
  Pair wrong(accepts, untrusted, "node.example");
  wrong.run();
  REQUIRE(wrong.acceptor.state() == State::failed);
  CHECK(has(wrong.acceptor.error(), "CN=stranger"));
  CHECK(wrong.dialler.was_refused());

  Pair right(accepts, material_of(client(), our_authority()), "node.example");
  right.run();
  REQUIRE(right.acceptor.state() == State::open);
  CHECK(right.acceptor.has_certificate());
}

TEST_CASE("if a certificate is optional, one that is not trusted counts as none") {
  TlsMaterial accepts = material_of(node(), our_authority());
  accepts.demand = CertificateDemand::optional;
  Pair wrong(accepts, material_of(stranger(), our_authority()), "node.example");
  wrong.run();
  REQUIRE(wrong.acceptor.state() == State::open);
  CHECK_FALSE(wrong.acceptor.has_certificate());
  CHECK(has(wrong.acceptor.subject(), "CN=stranger"));

  Pair none(accepts, dialler_material(), "node.example");
  none.run();
  REQUIRE(none.acceptor.state() == State::open);
  CHECK_FALSE(none.acceptor.has_certificate());
  CHECK(none.acceptor.subject().empty());

  Pair right(accepts, material_of(node(), our_authority()), "node.example");
  right.run();
  REQUIRE(right.acceptor.has_certificate());
  CHECK(right.acceptor.is_for_servers());
  CHECK(right.acceptor.names("10.0.0.7"));
  CHECK(right.acceptor.names("node.example"));
  CHECK_FALSE(right.acceptor.names("10.0.0.70"));
  CHECK_FALSE(right.acceptor.names("node"));  // the common name is not looked at
}

TEST_CASE("a chain of certificates that is too long ends the handshake") {
  for (const auto demand : {CertificateDemand::optional, CertificateDemand::required}) {
    TlsMaterial accepts = material_of(node(), our_authority());
    accepts.demand = demand;
    TlsMaterial dials = material_of(client(), our_authority());
    for (int i = 0; i < 5; ++i) dials.certificate += other_authority().certificate;
    Pair some(accepts, dials, "node.example");
    some.run();
    CHECK(some.acceptor.has_certificate());
    for (int i = 0; i < 100; ++i) dials.certificate += other_authority().certificate;
    Pair many(accepts, dials, "node.example");
    many.run();
    CHECK(many.acceptor.state() == State::failed);
    CHECK(!many.acceptor.error().empty());
  }
}

TEST_CASE("a session counts the records that it reads, whatever they hold") {
  Pair pair(material_of(node(), our_authority()), dialler_material(), "node.example");
  pair.run();
  REQUIRE(pair.acceptor.state() == State::open);
  CHECK(pair.acceptor.take_records() > 0);
  CHECK(pair.acceptor.take_records() == 0);
  for (int i = 0; i < 100; ++i) pair.dialler.write("x");
  pair.run();
  CHECK(pair.read_by_acceptor.size() == 100);
  CHECK(pair.acceptor.take_records() == 100);
}

TEST_CASE("an acceptor tells the authority of servers from that of clients") {
  TlsMaterial accepts = material_of(node(), our_authority());
  accepts.client_authorities = other_authority().certificate;
  accepts.demand = CertificateDemand::required;
  Pair server(accepts, material_of(node(), our_authority()), "node.example");
  server.run();
  REQUIRE(server.acceptor.has_certificate());
  CHECK(server.acceptor.is_signed_by(Authority::servers));
  CHECK_FALSE(server.acceptor.is_signed_by(Authority::clients));

  Pair other(accepts, material_of(stranger(), our_authority()), "node.example");
  other.run();
  REQUIRE(other.acceptor.has_certificate());
  CHECK_FALSE(other.acceptor.is_signed_by(Authority::servers));
  CHECK(other.acceptor.is_signed_by(Authority::clients));

  Pair person(accepts, material_of(client(), our_authority()), "node.example");
  person.run();
  REQUIRE(person.acceptor.has_certificate());
  CHECK_FALSE(person.acceptor.is_for_servers());
}

TEST_CASE("plain HTTP and damaged records end a session") {
  Pair pair(material_of(node(), our_authority()), dialler_material(), "node.example");
  char room[100];
  pair.acceptor.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(pair.acceptor.read(room) == 0);
  CHECK(pair.acceptor.state() == State::failed);
  CHECK(pair.acceptor.error() == "the other side does not speak TLS");

  Pair damaged(material_of(node(), our_authority()), dialler_material(), "node.example");
  damaged.run();
  damaged.dialler.write("transfer 100");
  std::string& sealed = damaged.dialler.output();
  sealed[sealed.size() / 2] = static_cast<char>(sealed[sealed.size() / 2] ^ 1);
  damaged.run();
  CHECK(damaged.acceptor.state() == State::failed);
  CHECK(damaged.read_by_acceptor.empty());
  CHECK_FALSE(damaged.acceptor.was_refused());
}

TEST_CASE("a context says which of its materials is wrong") {
  const auto error_of = [](const TlsMaterial& material) {
    const auto made = TlsContext::acceptor(material);
    return made ? std::string() : made.error().what;
  };
  TlsMaterial good = material_of(node(), our_authority());
  CHECK(error_of(good).empty());
  TlsMaterial bad = good;
  bad.certificate = "not PEM";
  CHECK(has(error_of(bad), "the certificate is not"));
  bad = good;
  bad.key = "not PEM";
  CHECK(has(error_of(bad), "the key is not"));
  bad = good;
  bad.key = stranger().key;
  CHECK(has(error_of(bad), "does not belong to the certificate"));
  bad = good;
  bad.authorities = "not PEM";
  CHECK(has(error_of(bad), "holds no certificate"));
  bad = good;
  bad.client_authorities = "not PEM";
  CHECK(has(error_of(bad), "the clients' authorities holds no certificate"));
  const auto made = TlsContext::acceptor(good);
  CHECK(made->expires_at() > 1'790'000'000);
}

TEST_CASE("only an authority with its own key issues certificates") {
  Credential mixed = our_authority();
  mixed.key = other_authority().key;
  CHECK_FALSE(issue(mixed, "x", {"a"}, CertificateUse::server));
  CHECK_FALSE(issue(node(), "x", {"a"}, CertificateUse::server));
  CHECK_FALSE(issue({"", ""}, "x", {"a"}, CertificateUse::server));
}
