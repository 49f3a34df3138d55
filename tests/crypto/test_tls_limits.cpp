// What a session does about clients that use TLS against it. OpenSSL itself is such a client, since
// TlsSession never does what is tested here.
#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "crypto/authority.hpp"
#include "crypto/tls.hpp"

using namespace vesper;
using namespace vesper::crypto;

namespace {

TlsContext limits_acceptor() {
  const Credential authority = make_authority();
  const Credential own = issue(authority, "node", {"node.example"}, CertificateUse::server).value();
  TlsMaterial material;
  material.certificate = own.certificate;
  material.key = own.key;
  material.authorities = authority.certificate;
  return TlsContext::acceptor(material).value();
}

class RawClient {
 public:
  explicit RawClient(int version)
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        acceptor(TlsSession::accept(limits_acceptor())) {
    REQUIRE(SSL_CTX_set_min_proto_version(context_.get(), version) == 1);
    REQUIRE(SSL_CTX_set_max_proto_version(context_.get(), version) == 1);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_bio(ssl(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl());
    for (int i = 0; i < 4; ++i) {
      SSL_do_handshake(ssl());
      exchange();
    }
    REQUIRE(SSL_is_init_finished(ssl()) == 1);
    REQUIRE(acceptor.state() == TlsSession::State::open);
  }

  SSL* ssl() { return ssl_.get(); }
  // Moves what each side has written to the other one.
  void exchange() {
    char room[4096];
    while (true) {
      const int size = BIO_read(SSL_get_wbio(ssl()), room, sizeof room);
      if (size <= 0) break;
      take({room, static_cast<std::size_t>(size)});
    }
    std::string& back = acceptor.output();
    if (!back.empty()) BIO_write(SSL_get_rbio(ssl()), back.data(), static_cast<int>(back.size()));
    back.clear();
  }
  void write(std::string_view text) {
    REQUIRE(SSL_write(ssl(), text.data(), static_cast<int>(text.size())) > 0);
    exchange();
  }
  bool update_keys() {
    return SSL_key_update(ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl()) == 1;
  }

 private:
  void take(std::string_view bytes) {
    char room[4096];
    acceptor.feed(bytes);
    while (const std::size_t got = acceptor.read(room)) received += got;
    acceptor.feed({});
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};

 public:
  TlsSession acceptor;
  std::size_t received = 0;
};

}  // namespace

// Else each attempt would add an alert to the output, which a hostile client does not read.
TEST_CASE("a session ends when the other side tries to renegotiate") {
  RawClient client(TLS1_2_VERSION);
  client.write("x");
  REQUIRE(client.received == 1);
  REQUIRE(SSL_renegotiate(client.ssl()) == 1);
  SSL_do_handshake(client.ssl());
  client.exchange();
  CHECK(client.acceptor.state() == TlsSession::State::failed);
  CHECK(client.acceptor.error() == "the other side tries to renegotiate");
}

TEST_CASE("a session takes key updates in the middle of much plain text, however many") {
  RawClient client(TLS1_3_VERSION);
  const std::string half_share(512u << 10, 'x');
  for (int i = 0; i < 40; ++i) {
    CAPTURE(i);
    client.write(half_share);
    REQUIRE(client.update_keys());
    client.exchange();
    REQUIRE(client.acceptor.state() == TlsSession::State::open);
  }
  CHECK(client.received == 40 * half_share.size());
}

TEST_CASE("a session ends when the other side updates its keys too often") {
  RawClient client(TLS1_3_VERSION);
  int updates = 0;
  for (; updates < 100 && client.acceptor.state() == TlsSession::State::open; ++updates) {
    REQUIRE(client.update_keys());
    client.write("x");
  }
  CHECK(updates == 33);
  CHECK(client.acceptor.state() == TlsSession::State::failed);
  CHECK(client.acceptor.error() == "the other side updates its keys too often");
}
