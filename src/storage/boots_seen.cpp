#include "storage/boots_seen.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace vesper::storage {

std::string BootsSeen::encode() const {
  std::string content;
  ByteWriter w(content);
  w.u32(static_cast<std::uint32_t>(seen_.size()));
  for (const SeenBoot& seen : seen_) {
    w.u32(seen.server.value);
    w.u64(seen.incarnation.value);
    w.u64(seen.number);
    w.u64(seen.boot.value);
  }
  return content;
}

Result<BootsSeen> BootsSeen::decode(std::string_view content) {
  ByteReader r(content);
  BootsSeen boots;
  const std::uint32_t count = r.u32();
  if (count > kMost) r.fail();
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    SeenBoot seen;
    seen.server = raft::ServerId(r.u32());
    seen.incarnation = raft::Incarnation(r.u64());
    seen.number = r.u64();
    seen.boot = raft::BootId(r.u64());
    boots.seen_.push_back(seen);
  }
  if (!r.ok() || !r.at_end()) return Error{"its content is malformed"};
  return boots;
}

bool BootsSeen::saw(const SeenBoot& seen) {
  const auto known = std::find_if(seen_.begin(), seen_.end(), [&](const SeenBoot& other) {
    return other.incarnation == seen.incarnation;
  });
  if (known != seen_.end()) {
    if (known->number >= seen.number) return false;
    seen_.erase(known);
  }
  seen_.push_back(seen);
  if (seen_.size() > kMost) seen_.pop_front();
  return true;
}

SeenBoot BootsSeen::of(raft::Incarnation incarnation) const {
  for (const SeenBoot& seen : seen_)
    if (seen.incarnation == incarnation) return seen;
  return {};
}

SeenBoot BootsSeen::latest_of(raft::ServerId server) const {
  for (auto seen = seen_.rbegin(); seen != seen_.rend(); ++seen)
    if (seen->server == server) return *seen;
  return {};
}

}  // namespace vesper::storage
