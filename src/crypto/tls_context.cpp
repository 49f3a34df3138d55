// Makes contexts: the rules that every connection obeys, certificates, keys and authorities.
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "crypto/tls_parts.hpp"

namespace vesper::crypto {
namespace {

// Forward secrecy and authenticated encryption only.
constexpr const char* kCiphersOfTls12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* kCiphersOfTls13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr std::size_t kMaxShownName = 200;
constexpr long kMaxChain = 32l << 10;  // bytes of the certificates that the other side sends
constexpr unsigned char kAlpn[] = "\x08http/1.1";

OwnedBio bio_of(std::string_view text) {
  OwnedBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  VESPER_ASSERT(bio != nullptr);
  return bio;
}

// A running server can ask no one for a passphrase.
int refuse_passphrase(char*, int, int, void*) {
  return -1;
}

OwnedCertificate read_certificate(BIO* bio) {
  return OwnedCertificate(PEM_read_bio_X509(bio, nullptr, refuse_passphrase, nullptr));
}

// Adds every certificate of `pem`. Returns how many.
std::size_t add_authorities(X509_STORE* store, std::string_view pem) {
  const OwnedBio bio = bio_of(pem);
  std::size_t count = 0;
  while (const OwnedCertificate certificate = read_certificate(bio.get())) {
    X509_STORE_add_cert(store, certificate.get());  // a repetition is no harm
    ++count;
  }
  ERR_clear_error();  // the end of the text counts as one
  return count;
}

Result<OwnedStore> store_of(std::string_view pem, std::string_view what) {
  OwnedStore store(X509_STORE_new());
  VESPER_ASSERT(store != nullptr);
  if (pem.empty()) X509_STORE_set_default_paths(store.get());
  else if (add_authorities(store.get(), pem) == 0)
    return Error{fmt::format("{} holds no certificate in PEM form", what)};
  ERR_clear_error();
  return store;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return static_cast<std::int64_t>(::timegm(&parts));
}

// The own certificate, the rest of its chain, and its key.
Result<void> use_certificate(SSL_CTX* context, const TlsMaterial& material) {
  const OwnedBio bio = bio_of(material.certificate);
  const OwnedCertificate own = read_certificate(bio.get());
  if (own == nullptr) {
    ERR_clear_error();
    return Error{"the certificate is not a certificate in PEM form"};
  }
  if (SSL_CTX_use_certificate(context, own.get()) != 1)
    return Error{fmt::format("the certificate cannot be used: {}", take_reason())};
  while (OwnedCertificate next = read_certificate(bio.get()))
    if (SSL_CTX_add0_chain_cert(context, next.get()) == 1) static_cast<void>(next.release());
  ERR_clear_error();
  const OwnedBio key_bio = bio_of(material.key);
  const OwnedKey key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, refuse_passphrase, nullptr));
  if (key == nullptr) {
    ERR_clear_error();
    return Error{"the key is not a private key in PEM form without a passphrase"};
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return Error{"the key does not belong to the certificate"};
  }
  return {};
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kAlpn, sizeof kAlpn - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

void set_rules(SSL_CTX* context) {
  VESPER_ASSERT(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  VESPER_ASSERT(SSL_CTX_set_cipher_list(context, kCiphersOfTls12) == 1);
  VESPER_ASSERT(SSL_CTX_set_ciphersuites(context, kCiphersOfTls13) == 1);
  VESPER_ASSERT(SSL_CTX_set1_groups_list(context, kGroups) == 1);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_max_cert_list(context, kMaxChain);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);  // one call of read_input() for a record, not two
}

// Names the authorities to diallers, so that browsers offer only certificates that count.
void announce_authorities(SSL_CTX* context, std::string_view pem) {
  const OwnedBio bio = bio_of(pem);
  while (const OwnedCertificate certificate = read_certificate(bio.get()))
    SSL_CTX_add_client_CA(context, certificate.get());
  ERR_clear_error();
}

}  // namespace

std::string take_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown reason";
}

std::string text_of(const X509_NAME* name) {
  const OwnedBio bio(BIO_new(BIO_s_mem()));
  VESPER_ASSERT(bio != nullptr);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return escaped({text, static_cast<std::size_t>(size)}, kMaxShownName);
}

Result<std::shared_ptr<TlsContext::Implementation>> TlsContext::make(const TlsMaterial& material,
                                                                     bool accepts) {
  auto made = std::make_shared<Implementation>();
  made->accepts = accepts;
  made->check = material.check;
  made->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* context = made->context.get();
  VESPER_ASSERT(context != nullptr);
  set_rules(context);
  if (!material.certificate.empty() || accepts) {
    if (auto used = use_certificate(context, material); !used) return used.error();
    made->expires_at = seconds_of(X509_get0_notAfter(SSL_CTX_get0_certificate(context)));
  }
  auto servers = store_of(material.authorities, "the file of authorities");
  if (!servers) return servers.error();
  made->servers = std::move(servers).value();
  if (!material.client_authorities.empty()) {
    auto clients = store_of(material.client_authorities, "the file of the clients' authorities");
    if (!clients) return clients.error();
    made->clients = std::move(clients).value();
  }
  return made;
}

Result<TlsContext> TlsContext::acceptor(const TlsMaterial& material) {
  auto made = make(material, true);
  if (!made) return made.error();
  SSL_CTX* context = (*made)->context.get();
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  // The handshake accepts what either store trusts. is_signed_by() tells them apart.
  auto either = store_of(material.authorities, "");
  VESPER_ASSERT(either);
  add_authorities(either->get(), material.client_authorities);
  SSL_CTX_set_cert_store(context, std::move(either).value().release());
  announce_authorities(context, material.authorities);
  announce_authorities(context, material.client_authorities);
  int mode = SSL_VERIFY_NONE;
  if (material.demand != CertificateDemand::none) mode = SSL_VERIFY_PEER;
  if (material.demand == CertificateDemand::required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, on_verify);
  if (material.demand == CertificateDemand::optional)
    SSL_CTX_set_cert_verify_callback(context, verify_optional, nullptr);
  TlsContext result;
  result.implementation_ = std::move(made).value();
  return result;
}

Result<TlsContext> TlsContext::dialler(const TlsMaterial& material) {
  auto made = make(material, false);
  if (!made) return made.error();
  SSL_CTX* context = (*made)->context.get();
  VESPER_ASSERT(SSL_CTX_set_alpn_protos(context, kAlpn, sizeof kAlpn - 1) == 0);
  SSL_CTX_set1_cert_store(context, (*made)->servers.get());
  const bool checks = material.check == ServerCheck::by_name;
  SSL_CTX_set_verify(context, checks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, on_verify);
  TlsContext result;
  result.implementation_ = std::move(made).value();
  return result;
}

std::int64_t TlsContext::expires_at() const {
  VESPER_ASSERT(implementation_ != nullptr);
  return implementation_->expires_at;
}

}  // namespace vesper::crypto
