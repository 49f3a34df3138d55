#include "crypto/authority.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <string_view>

#include "base/assert.hpp"
#include "crypto/random.hpp"
#include "crypto/tls_parts.hpp"

namespace vesper::crypto {
namespace {

constexpr long kSecondsPerDay = 86'400;
constexpr long kDaysOfAuthority = 3'650;
constexpr long kDaysOfCertificate = 825;
constexpr long kClocksMayDiffer = 3'600;    // seconds before now from which a certificate is valid
constexpr std::size_t kMaxCommonName = 64;  // RFC 5280, appendix A.1

// One certificate and the key that it is for, not signed yet.
struct Draft {
  OwnedCertificate certificate;
  OwnedKey key;
};

void set_name(X509_NAME* name, std::string_view common_name) {
  common_name = common_name.substr(0, kMaxCommonName);
  VESPER_ASSERT(
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) == 1);
}

Draft begin(std::string_view common_name, long days) {
  Draft draft{OwnedCertificate(X509_new()), OwnedKey(EVP_EC_gen("P-256"))};
  VESPER_ASSERT(draft.certificate != nullptr && draft.key != nullptr);
  X509* certificate = draft.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  // Twenty bytes at most, positive and not guessable (RFC 5280 §4.1.2.2).
  const Id128 serial = random128();
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(BN_new());
  VESPER_ASSERT(number != nullptr && BN_set_word(number.get(), serial.high | 1) == 1 &&
                BN_lshift(number.get(), number.get(), 64) == 1 &&
                BN_add_word(number.get(), serial.low) == 1);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kClocksMayDiffer);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * kSecondsPerDay);
  X509_set_pubkey(certificate, draft.key.get());
  set_name(X509_get_subject_name(certificate), common_name);
  return draft;
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  VESPER_ASSERT(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string text_of(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  return {text, static_cast<std::size_t>(size)};
}

Credential sign(const Draft& draft, X509* issuer, EVP_PKEY* key) {
  X509* certificate = draft.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  VESPER_ASSERT(X509_sign(certificate, key, EVP_sha256()) > 0);
  const OwnedBio pem(BIO_new(BIO_s_mem())), key_pem(BIO_new(BIO_s_mem()));
  VESPER_ASSERT(pem != nullptr && PEM_write_bio_X509(pem.get(), certificate) == 1);
  VESPER_ASSERT(key_pem != nullptr &&
                PEM_write_bio_PKCS8PrivateKey(key_pem.get(), draft.key.get(), nullptr, nullptr, 0,
                                              nullptr, nullptr) == 1);
  return {text_of(pem.get()), text_of(key_pem.get())};
}

std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string text;
  for (const std::string& host : hosts) {
    in_addr v4{};
    in6_addr v6{};
    const bool is_address =
        inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", is_address ? "IP" : "DNS", host);
  }
  return text;
}

}  // namespace

Credential make_authority() {
  const std::string name = fmt::format("Vesper authority {:08x}", random64() >> 32);
  const Draft draft = begin(name, kDaysOfAuthority);
  X509* certificate = draft.certificate.get();
  extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  extend(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(certificate, certificate, NID_subject_key_identifier, "hash");
  return sign(draft, certificate, draft.key.get());
}

Result<Credential> issue(const Credential& authority, const std::string& name,
                         const std::vector<std::string>& hosts, CertificateUse use) {
  const auto bio_of = [](const std::string& text) {
    return OwnedBio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  };
  const OwnedBio certificate_bio = bio_of(authority.certificate);
  const OwnedCertificate issuer(
      PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const OwnedBio key_bio = bio_of(authority.key);
  const OwnedKey key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (issuer == nullptr || key == nullptr || X509_check_private_key(issuer.get(), key.get()) != 1 ||
      X509_check_ca(issuer.get()) == 0) {
    ERR_clear_error();
    return Error{"the authority is not a certificate and its key in PEM form"};
  }
  const Draft draft = begin(name, kDaysOfCertificate);
  X509* certificate = draft.certificate.get();
  extend(certificate, issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  extend(certificate, issuer.get(), NID_key_usage, "critical,digitalSignature");
  extend(certificate, issuer.get(), NID_ext_key_usage,
         use == CertificateUse::server ? "serverAuth,clientAuth" : "clientAuth");
  extend(certificate, issuer.get(), NID_subject_key_identifier, "hash");
  extend(certificate, issuer.get(), NID_authority_key_identifier, "keyid:always");
  if (!hosts.empty())
    extend(certificate, issuer.get(), NID_subject_alt_name, alternative_names(hosts));
  return sign(draft, issuer.get(), key.get());
}

}  // namespace vesper::crypto
