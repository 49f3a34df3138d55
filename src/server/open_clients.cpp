#include "server/open_clients.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace vesper::server {
namespace {

// No one can listen in, or read a token.
bool is_secure(const Options& options) {
  return options.address.scheme == Scheme::https && !options.tls.allow_mixed;
}

bool is_reachable(const std::vector<io::Address>& listen) {
  return !std::all_of(listen.begin(), listen.end(),
                      [](const io::Address& address) { return address.is_loopback(); });
}

}  // namespace

bool needs_tokens(const Options& options, const std::vector<io::Address>& listen) {
  return is_reachable(listen) && is_secure(options) && options.tls.client_authorities.empty() &&
         !options.insecure_clients;
}

std::optional<std::string> refuse_open_clients(const Options& options,
                                               const std::vector<io::Address>& listen) {
  if (options.insecure_clients || is_secure(options)) return std::nullopt;
  for (const io::Address& address : listen)
    if (!address.is_loopback())
      return fmt::format(
          "this server would listen on {}, which is not a loopback address: anyone who can connect "
          "to it could read and change its data; use https:// in the list with --tls-cert and "
          "--tls-key (vesper pki init makes the files) and --tls-client-ca or tokens (vesper auth "
          "enable), or --listen on a loopback address, or allow this with --insecure-clients",
          address.to_string());
  return std::nullopt;
}

std::optional<std::string> refuse_open_chaos(const std::vector<io::Address>& listen,
                                             const std::vector<io::Address>& own) {
  for (const auto* addresses : {&listen, &own})
    for (const io::Address& address : *addresses)
      if (!address.is_loopback())
        return fmt::format(
            "--chaos lets anyone who reaches this server break it, and {} is not a loopback "
            "address; leave out --chaos, or use loopback addresses in the list and for --listen",
            address.to_string());
  return std::nullopt;
}

}  // namespace vesper::server
