#include "peer/open_peers.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace vesper::peer {

bool needs_loopback(const Settings& settings) {
  if (!settings.key.empty() || settings.insecure || settings.list.size() == 1) return false;
  return settings.takes_plain ||
         std::any_of(settings.list.begin(), settings.list.end(),
                     [](const HostPort& each) { return each.scheme == Scheme::http; });
}

std::optional<std::string> refuse_open_peers(const Settings& settings,
                                             const std::vector<io::Address>& listen,
                                             std::span<const std::vector<io::Address>> listed) {
  const std::string_view advice =
      "without a peer key, anyone who can connect to it could take part in the cluster; give all "
      "servers TLS (https:// in the list) or the same --peer-key-file, or allow this with "
      "--insecure-peers";
  for (const io::Address& address : listen)
    if (!address.is_loopback())
      return fmt::format("this server would listen on {}, which is not a loopback address: {}",
                         address.to_string(), advice);
  for (std::size_t id = 0; id < listed.size(); ++id)
    for (const io::Address& address : listed[id])
      if (!address.is_loopback())
        return fmt::format("{} in the list is not a loopback address: {}",
                           url_of(settings.list[id]), advice);
  return std::nullopt;
}

}  // namespace vesper::peer
