// The server's certificates: loads the files, and loads them again when they change. A broken new
// file leaves the old certificates in use.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "api/figures.hpp"
#include "base/result.hpp"
#include "crypto/tls.hpp"
#include "server/options.hpp"

namespace vesper::server {

class Certificates {
 public:
  explicit Certificates(const Options& options);

  // For the start of the server. The error names the file.
  Result<void> load();
  // Loads changed files, and logs the outcome. Blocks for the time of a few system calls.
  void load_changed();
  // The same, whether they have changed or not.
  void load_again();

  // Empty: this server's port does not speak TLS.
  const crypto::TlsContext& acceptor() const { return acceptor_; }
  // Empty: no other server is dialled over TLS.
  const crypto::TlsContext& dialler() const { return dialler_; }
  // Nothing without a certificate. `now`: in seconds since 1970.
  std::optional<api::TlsFigures> figures(std::int64_t now) const;

 private:
  // What tells a changed file from an unchanged one.
  struct Mark {
    std::int64_t modified_ns = 0, changed_ns = 0;
    std::uint64_t size = 0, inode = 0;
    bool operator==(const Mark&) const = default;
  };
  using Marks = std::array<Mark, 4>;
  Marks marks() const;
  Result<crypto::TlsMaterial> read() const;

  const TlsOptions& paths_;
  const crypto::CertificateDemand demand_;
  const bool accepts_, dials_;
  crypto::TlsContext acceptor_, dialler_;
  Marks loaded_;             // of the files when they were last read
  std::string why_not_new_;  // empty: the files are in use
};

// Reads a file of at most 1 MiB. A secret is refused if other users can read or write it.
enum class Secrecy : std::uint8_t { known_to_all, secret };
Result<std::string> read_credential(const std::string& path, Secrecy secrecy);

}  // namespace vesper::server
