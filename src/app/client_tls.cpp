#include "app/client_tls.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

#include "server/certificates.hpp"

namespace vesper::app {
namespace {

TlsFlags chosen;

std::string from(const std::string& flag, const char* variable) {
  const char* value = std::getenv(variable);
  return flag.empty() && value != nullptr ? value : flag;
}

Result<void> read_into(std::string& text, const std::string& path, const char* flag,
                       server::Secrecy secrecy) {
  if (path.empty()) return {};
  auto read = server::read_credential(path, secrecy);
  if (!read) return Error{fmt::format("{}: {}", flag, read.error().what)};
  if (read->empty()) return Error{fmt::format("{}: {}: the file is empty", flag, path)};
  text = std::move(read).value();
  return {};
}

Result<crypto::TlsContext> make_context() {
  crypto::TlsMaterial material;
  material.check = chosen.insecure ? crypto::ServerCheck::unchecked : crypto::ServerCheck::by_name;
  if (chosen.cert.empty() != chosen.key.empty())
    return Error{"--cert and --key (VESPER_CLIENT_CERT and VESPER_CLIENT_KEY) need each other"};
  using server::Secrecy;
  for (const auto& read :
       {read_into(material.authorities, chosen.cacert, "--cacert", Secrecy::known_to_all),
        read_into(material.certificate, chosen.cert, "--cert", Secrecy::known_to_all),
        read_into(material.key, chosen.key, "--key", Secrecy::secret)})
    if (!read) return read.error();
  auto context = crypto::TlsContext::dialler(material);
  if (!context) return Error{fmt::format("--cacert, --cert, --key: {}", context.error().what)};
  return context;
}

}  // namespace

TlsFlags with_environment(TlsFlags flags) {
  flags.cacert = from(flags.cacert, "VESPER_CACERT");
  flags.cert = from(flags.cert, "VESPER_CLIENT_CERT");
  flags.key = from(flags.key, "VESPER_CLIENT_KEY");
  return flags;
}

void set_client_tls(const TlsFlags& flags) {
  chosen = with_environment(flags);
}

const Result<crypto::TlsContext>& client_tls() {
  static const Result<crypto::TlsContext> context = make_context();
  return context;
}

}  // namespace vesper::app
