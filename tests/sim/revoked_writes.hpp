// Checks writes against revocations by nothing but the replies to both (A1): no write of a revoked
// token takes effect after the revision of the revocation. And what clients were told of
// revocations, for the checks of reads (A2).
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "sim/holdings.hpp"

namespace vesper::sim {

class RevokedWrites {
 public:
  // The tokens have changed; `revision` is that of the store then.
  void follow(const Holdings& now, std::uint64_t revision) {
    for (const auto& [name, badge] : before_.badges) {
      const auto at = now.badges.find(name);
      if (at == now.badges.end() || at->second.id != badge.id) revoked_[badge.id] = revision;
    }
    if (!now.needs_tokens) open_until_ = UINT64_MAX;
    else if (!before_.needs_tokens) open_until_ = revision;
    before_ = now;
  }
  // A client knows of the changes up to this revision.
  void tell(std::uint64_t revision) {
    if (revision > told_) told_ = revision;
  }
  bool is_barred(std::uint64_t id) const {
    const auto at = revoked_.find(id);
    return at != revoked_.end() && at->second < told_;
  }
  // From now on someone may have removed the need for tokens.
  void may_disable() { disabling_ = true; }
  bool is_disabling() const { return disabling_; }

  std::optional<std::string> took_effect(const Who& who, std::uint64_t revision) const {
    const auto at = revoked_.find(who.id);
    if (at == revoked_.end() || revision <= at->second || revision <= open_until_)
      return std::nullopt;
    return fmt::format("A1: the token '{}' was revoked at revision {}, and writes at {}", who.name,
                       at->second, revision);
  }

 private:
  Holdings before_;
  std::map<std::uint64_t, std::uint64_t> revoked_;  // by id: the store's revision then
  // Every client may write up to this revision: there was a time before it without tokens.
  std::uint64_t open_until_ = UINT64_MAX;
  std::uint64_t told_ = 0;
  bool disabling_ = false;
};

}  // namespace vesper::sim
