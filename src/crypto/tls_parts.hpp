// What tls_context.cpp and tls_session.cpp share: owners of OpenSSL's objects, and the content of a
// context.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

#include "crypto/tls.hpp"

namespace vesper::crypto {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using OwnedStore = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using OwnedCertificate = std::unique_ptr<X509, Freed<X509_free>>;
using OwnedContext = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using OwnedKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using OwnedBio = std::unique_ptr<BIO, Freed<BIO_free_all>>;

struct TlsContext::Implementation {
  OwnedContext context;
  OwnedStore servers, clients;  // acceptors: who signs which; `clients` may be null
  bool accepts = false;
  ServerCheck check = ServerCheck::by_name;
  std::int64_t expires_at = 0;
};

// The text of OpenSSL's latest error, and an empty queue of errors.
std::string take_reason();
// "CN=..." of a name in a certificate. Printable, at most 200 bytes.
std::string text_of(const X509_NAME* name);
// Remembers the first reason why the certificate of the other side is not trusted, and ends its
// verification: strangers choose how much work the signatures of the rest are.
int on_verify(int ok, X509_STORE_CTX* verification);
// Lets a handshake go on whatever its verification finds.
int verify_optional(X509_STORE_CTX* verification, void*);

}  // namespace vesper::crypto
