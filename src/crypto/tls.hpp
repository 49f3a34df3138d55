// TLS 1.2 and 1.3 without sockets: a context holds certificates and rules, a session turns bytes of
// the network into plain text and back. io/stream.hpp and the command line move the bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vesper::crypto {

// Whether an acceptor asks the other side for a certificate.
enum class CertificateDemand : std::uint8_t {
  none,
  optional,  // a certificate that is not trusted counts as none
  required,  // without a trusted one, the handshake fails
};
// Whether a dialler believes any server. `unchecked` is for people who test.
enum class ServerCheck : std::uint8_t { by_name, unchecked };

// What a context is made of. Certificates and keys are PEM texts.
struct TlsMaterial {
  std::string certificate;         // own, followed by its chain; empty: none (diallers only)
  std::string key;                 // of `certificate`, without a passphrase
  std::string authorities;         // that sign servers; empty: those of the system
  std::string client_authorities;  // that sign clients; empty: none. Acceptors only
  CertificateDemand demand = CertificateDemand::none;  // acceptors only
  ServerCheck check = ServerCheck::by_name;            // diallers only
};

// Certificates, keys and rules that sessions share. A copy shares them, too. A session keeps what
// it began with, so a context can be replaced at any time.
class TlsContext {
 public:
  TlsContext() = default;  // holds nothing
  // An error says which of the materials is wrong, and why.
  static Result<TlsContext> acceptor(const TlsMaterial& material);
  static Result<TlsContext> dialler(const TlsMaterial& material);

  explicit operator bool() const { return implementation_ != nullptr; }
  // When the own certificate expires, in seconds since 1970 (UTC). Requires one.
  std::int64_t expires_at() const;

 private:
  friend class TlsSession;
  struct Implementation;
  static Result<std::shared_ptr<Implementation>> make(const TlsMaterial& material, bool accepts);
  std::shared_ptr<const Implementation> implementation_;
};

// One connection. Neither renegotiates nor compresses, and is not resumed. A failure is final.
class TlsSession {
 public:
  enum class State : std::uint8_t {
    handshaking,
    open,
    ended,   // the other side has said that it sends no more; this side may still write
    failed,  // error() says why; output() may hold an alert for the other side
  };
  enum class Authority : std::uint8_t { servers, clients };

  // The side that was dialled.
  static TlsSession accept(const TlsContext& context);
  // The side that dials. The certificate of the other side has to name `host`, which is a name or
  // an IP address without brackets.
  static TlsSession dial(const TlsContext& context, const std::string& host);
  ~TlsSession();
  TlsSession(TlsSession&& other) noexcept;
  TlsSession& operator=(TlsSession&& other) noexcept;

  State state() const;
  // One sentence for people. Empty unless failed.
  const std::string& error() const;
  // True if the other side has sent an alert before any plain text: it has ended the handshake.
  bool was_refused() const;

  // A dialler's first message goes to output(). Call it once, before anything else.
  void start();
  // Bytes from the network. Call read() until it returns 0 before they become invalid.
  void feed(std::string_view bytes);
  // Writes plain text to `into`. 0: there is no more now. Goes on with the handshake first. Of N
  // bytes that were fed, it makes at most N + kMaxRecord.
  std::size_t read(std::span<char> into);
  // Requires State::open or ended.
  void write(std::string_view plain);
  // Says that this side writes no more. Does nothing before the handshake is complete.
  void end();
  // How many records of the other side were read since the last call, whatever they held.
  std::size_t take_records();
  // Frees the buffers for records, of which a session takes about 32 KiB while it is used.
  void trim();
  // Bytes for the network. The caller takes what it has sent off the front.
  std::string& output();
  const std::string& output() const;

  // ---- the certificate of the other side, once the handshake is complete
  // True if there is one, and an authority of the context has signed it.
  bool has_certificate() const;
  // The following require has_certificate().
  bool is_signed_by(Authority authority) const;
  // A name or an IP address without brackets. Only subject alternative names count.
  bool names(const std::string& host) const;
  // False if its extended key usage excludes servers.
  bool is_for_servers() const;
  // Safe to print: "CN=...", at most 200 bytes. Whether the certificate is trusted or not; empty:
  // there is none.
  std::string subject() const;

  static constexpr std::size_t kMaxRecord = std::size_t{16} << 10;

  struct Implementation;  // tls_session.cpp

 private:
  explicit TlsSession(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace vesper::crypto
