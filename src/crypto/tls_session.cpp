// One connection: OpenSSL between two buffers, its failures as sentences, and what the certificate
// of the other side proves.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "crypto/tls_parts.hpp"

namespace vesper::crypto {
namespace {

// A record costs about a microsecond, but one that updates keys (RFC 8446 §4.6.3) more than fifty,
// and nothing in TLS limits how many a client sends. So it may send a few for each share of plain
// text, and the budget of a turn counts each as many records.
constexpr std::size_t kMaxKeyUpdates = 32;
constexpr std::size_t kPlainForUpdates = 1u << 20;  // bytes
constexpr std::size_t kRecordsOfKeyUpdate = 64;
// OpenSSL gets at most this many bytes of the network at once, and handles all that it has before
// it asks for more. What why_refused() names is noticed then.
constexpr std::size_t kMaxPiece = 2048;

constexpr unsigned kNameRules =
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

// SSL_get_error() looks at the whole queue. Clearing an empty one takes longer than looking at it.
void forget_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

bool is_address(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

}  // namespace

struct TlsSession::Implementation {
  std::shared_ptr<const TlsContext::Implementation> context;
  SSL* ssl = nullptr;
  std::string host;  // of a dialler
  State state = State::handshaking;
  std::string error;
  bool has_read = false;    // plain text
  std::size_t records = 0;  // read since take_records()
  // Of the other side, since it last had sent kPlainForUpdates.
  std::size_t key_updates = 0;
  std::size_t plain_for_updates = 0;  // bytes read since then
  bool asks_again = false;            // for a handshake, although there was one
  // Why no more of the input is handled. Null if nothing is wrong.
  const char* why_refused() const {
    if (asks_again) return "the other side tries to renegotiate";
    return key_updates > kMaxKeyUpdates ? "the other side updates its keys too often" : nullptr;
  }
  bool was_refused = false;
  std::string_view input;
  std::string output;
  int distrust = X509_V_OK;  // why the certificate of the other side is not trusted
  std::string distrusted;    // how a sentence calls that certificate

  ~Implementation() { SSL_free(ssl); }
  void fail(std::string why) {
    state = State::failed;
    error = std::move(why);
  }
  void fail_by(int result);
  std::string why_distrusted() const;
};

namespace {

using Session = TlsSession::Implementation;

// Both directions of a session are one BIO: OpenSSL reads from `input` and appends to `output`.
int read_input(BIO* bio, char* into, std::size_t size, std::size_t* got) {
  auto& session = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const bool is_refused = session.why_refused() != nullptr;
  *got = is_refused ? 0 : std::min({size, session.input.size(), kMaxPiece});
  if (*got == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, session.input.data(), *got);
  session.input.remove_prefix(*got);
  return 1;
}

int write_output(BIO* bio, const char* bytes, std::size_t size, std::size_t* wrote) {
  static_cast<Session*>(BIO_get_data(bio))->output.append(bytes, size);
  *wrote = size;
  return 1;
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// OpenSSL reports the header of each record, and each message of a handshake.
void count_record(int wrote, int, int type, const void* bytes, std::size_t size, SSL* ssl,
                  void* into) {
  if (wrote != 0 || size == 0) return;
  auto& session = *static_cast<Session*>(into);
  const unsigned char first = *static_cast<const unsigned char*>(bytes);
  if (type == SSL3_RT_HEADER) {
    ++session.records;
    // OpenSSL refuses each renegotiation with an alert, and goes on. A client that reads no alerts
    // could fill the memory with them. TLS 1.3 hides this type once there are keys.
    if (first == SSL3_RT_HANDSHAKE && SSL_is_init_finished(ssl) == 1) session.asks_again = true;
  }
  const bool updates_keys = type == SSL3_RT_HANDSHAKE && first == SSL3_MT_KEY_UPDATE;
  if (!updates_keys) return;
  session.records += kRecordsOfKeyUpdate;
  if (session.plain_for_updates >= kPlainForUpdates)
    session.plain_for_updates = session.key_updates = 0;
  ++session.key_updates;
}

BIO* make_bio(Session& session) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vesper");
    VESPER_ASSERT(made != nullptr);
    BIO_meth_set_read_ex(made, read_input);
    BIO_meth_set_write_ex(made, write_output);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  BIO* bio = BIO_new(method);
  VESPER_ASSERT(bio != nullptr);
  BIO_set_data(bio, &session);
  BIO_set_init(bio, 1);
  return bio;
}

// Alerts of the other side (RFC 8446 §6.2) and the other failures that need a plainer text than
// OpenSSL's.
std::string sentence_of(int reason) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG: return "the other side does not speak TLS";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return "the other side speaks neither TLS 1.2 nor TLS 1.3";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: return "both sides have no cipher in common";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "the other side has no certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the other side demands a certificate, and this side has none";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the other side does not trust the authority of this side's certificate";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return "the other side does not accept this side's certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: return "this side's certificate has expired";
    case SSL_R_NO_APPLICATION_PROTOCOL: return "the other side does not offer http/1.1";
    default: return {};
  }
}

}  // namespace

void TlsSession::Implementation::fail_by(int result) {
  const int kind = SSL_get_error(ssl, result);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return;
  if (kind == SSL_ERROR_ZERO_RETURN) {
    state = State::ended;
    return;
  }
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  was_refused = !has_read && reason >= SSL_AD_REASON_OFFSET;
  const std::string text = take_reason();
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return fail(why_distrusted());
  const std::string known = sentence_of(reason);
  fail(known.empty() ? text : known);
}

std::string TlsSession::Implementation::why_distrusted() const {
  if (distrust == X509_V_ERR_HOSTNAME_MISMATCH || distrust == X509_V_ERR_IP_ADDRESS_MISMATCH)
    return fmt::format("{} does not name {}", distrusted, host);
  return fmt::format("{} is not trusted: {}", distrusted, X509_verify_cert_error_string(distrust));
}

namespace {

Session& session_of(X509_STORE_CTX* verification) {
  const SSL* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  return *static_cast<Session*>(SSL_get_app_data(ssl));
}

}  // namespace

int on_verify(int ok, X509_STORE_CTX* verification) {
  if (ok == 1) return 1;
  Session& session = session_of(verification);
  if (session.distrust != X509_V_OK) return 0;
  session.distrust = X509_STORE_CTX_get_error(verification);
  const X509* own = X509_STORE_CTX_get0_cert(verification);
  session.distrusted =
      fmt::format("the certificate of {} (signed by {})", text_of(X509_get_subject_name(own)),
                  text_of(X509_get_issuer_name(own)));
  return 0;
}

int verify_optional(X509_STORE_CTX* verification, void*) {
  ERR_set_mark();
  const bool trusted = X509_verify_cert(verification) == 1;
  ERR_pop_to_mark();
  Session& session = session_of(verification);
  if (!trusted && session.distrust == X509_V_OK) session.distrust = X509_V_ERR_UNSPECIFIED;
  return 1;
}

TlsSession::TlsSession(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
TlsSession::~TlsSession() = default;
TlsSession::TlsSession(TlsSession&&) noexcept = default;
TlsSession& TlsSession::operator=(TlsSession&&) noexcept = default;

TlsSession TlsSession::accept(const TlsContext& context) {
  VESPER_ASSERT(context && context.implementation_->accepts);
  auto made = std::make_unique<Implementation>();
  made->context = context.implementation_;
  made->ssl = SSL_new(made->context->context.get());
  VESPER_ASSERT(made->ssl != nullptr);
  BIO* bio = make_bio(*made);
  SSL_set_bio(made->ssl, bio, bio);
  SSL_set_app_data(made->ssl, made.get());
  SSL_set_msg_callback(made->ssl, count_record);
  SSL_set_msg_callback_arg(made->ssl, made.get());
  SSL_set_accept_state(made->ssl);
  return TlsSession(std::move(made));
}

TlsSession TlsSession::dial(const TlsContext& context, const std::string& host) {
  VESPER_ASSERT(context && !context.implementation_->accepts);
  auto made = std::make_unique<Implementation>();
  made->context = context.implementation_;
  made->host = host;
  made->ssl = SSL_new(made->context->context.get());
  SSL* ssl = made->ssl;
  VESPER_ASSERT(ssl != nullptr);
  BIO* bio = make_bio(*made);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_app_data(ssl, made.get());
  SSL_set_hostflags(ssl, kNameRules);
  if (is_address(host)) {
    VESPER_ASSERT(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1);
  } else {
    VESPER_ASSERT(SSL_set1_host(ssl, host.c_str()) == 1);
    // The macro of this name casts.
    VESPER_ASSERT(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                           const_cast<char*>(host.c_str())) == 1);
  }
  SSL_set_connect_state(ssl);
  return TlsSession(std::move(made));
}

TlsSession::State TlsSession::state() const {
  return implementation_->state;
}

const std::string& TlsSession::error() const {
  return implementation_->error;
}

bool TlsSession::was_refused() const {
  return implementation_->was_refused;
}

void TlsSession::start() {
  Implementation& self = *implementation_;
  forget_errors();
  const int result = SSL_do_handshake(self.ssl);
  if (result != 1) self.fail_by(result);
}

void TlsSession::feed(std::string_view bytes) {
  implementation_->input = bytes;
}

std::size_t TlsSession::read(std::span<char> into) {
  Implementation& self = *implementation_;
  if (into.empty() || self.state == State::failed || self.state == State::ended) return 0;
  if (self.state == State::open && self.input.empty() && SSL_has_pending(self.ssl) == 0) return 0;
  forget_errors();
  std::size_t got = 0;
  const int result = SSL_read_ex(self.ssl, into.data(), into.size(), &got);
  if (self.state == State::handshaking && SSL_is_init_finished(self.ssl) == 1)
    self.state = State::open;
  if (const char* why = self.why_refused()) {
    self.fail(why);
    return 0;
  }
  if (result == 1) {
    self.has_read = true;
    self.plain_for_updates += got;
    return got;
  }
  self.fail_by(result);
  return 0;
}

void TlsSession::write(std::string_view plain) {
  Implementation& self = *implementation_;
  VESPER_ASSERT(self.state == State::open || self.state == State::ended);
  if (plain.empty()) return;
  forget_errors();
  std::size_t wrote = 0;
  const int result = SSL_write_ex(self.ssl, plain.data(), plain.size(), &wrote);
  if (result != 1) {
    self.fail_by(result);
    if (self.state != State::failed) self.fail("the session cannot write");
    return;
  }
  VESPER_ASSERT(wrote == plain.size());  // output() takes everything
}

std::size_t TlsSession::take_records() {
  return std::exchange(implementation_->records, 0);
}

void TlsSession::trim() {
  SSL_free_buffers(implementation_->ssl);  // has no effect while they hold something
}

void TlsSession::end() {
  Implementation& self = *implementation_;
  if (self.state != State::open && self.state != State::ended) return;
  forget_errors();
  SSL_shutdown(self.ssl);
  forget_errors();
}

std::string& TlsSession::output() {
  return implementation_->output;
}

const std::string& TlsSession::output() const {
  return implementation_->output;
}

bool TlsSession::has_certificate() const {
  const Implementation& self = *implementation_;
  return SSL_get0_peer_certificate(self.ssl) != nullptr && self.distrust == X509_V_OK &&
         SSL_is_init_finished(self.ssl) == 1 && self.state != State::failed;
}

bool TlsSession::is_signed_by(Authority authority) const {
  VESPER_ASSERT(has_certificate());
  const Implementation& self = *implementation_;
  X509_STORE* store =
      authority == Authority::servers ? self.context->servers.get() : self.context->clients.get();
  if (store == nullptr) return false;
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> verification(
      X509_STORE_CTX_new());
  VESPER_ASSERT(verification != nullptr);
  X509* certificate = SSL_get0_peer_certificate(self.ssl);
  VESPER_ASSERT(X509_STORE_CTX_init(verification.get(), store, certificate,
                                    SSL_get_peer_cert_chain(self.ssl)) == 1);
  X509_STORE_CTX_set_default(verification.get(), "ssl_client");
  const bool is_signed = X509_verify_cert(verification.get()) == 1;
  forget_errors();
  return is_signed;
}

bool TlsSession::names(const std::string& host) const {
  VESPER_ASSERT(has_certificate());
  X509* certificate = SSL_get0_peer_certificate(implementation_->ssl);
  const bool matches = is_address(host) ? X509_check_ip_asc(certificate, host.c_str(), 0) == 1
                                        : X509_check_host(certificate, host.data(), host.size(),
                                                          kNameRules, nullptr) == 1;
  forget_errors();
  return matches;
}

bool TlsSession::is_for_servers() const {
  VESPER_ASSERT(has_certificate());
  X509* certificate = SSL_get0_peer_certificate(implementation_->ssl);
  return X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) == 1;
}

std::string TlsSession::subject() const {
  const X509* certificate = SSL_get0_peer_certificate(implementation_->ssl);
  return certificate == nullptr ? std::string() : text_of(X509_get_subject_name(certificate));
}

}  // namespace vesper::crypto
