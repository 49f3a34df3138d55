// The latest start that this server has seen of each incarnation of another server. A server that
// comes back with an older copy of its data directory learns from it that the copy is older
// (docs/raft.md, "A disk that goes back").
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "raft/types.hpp"

namespace vesper::storage {

// A start of a server: the number of starts of its data directory, and the id of the process. Two
// starts with equal numbers have different ids.
struct SeenBoot {
  raft::ServerId server;
  raft::Incarnation incarnation;  // 0: none was seen
  std::uint64_t number = 0;
  raft::BootId boot;

  bool operator==(const SeenBoot&) const = default;
};

class BootsSeen {
 public:
  // Above this number, the incarnation that was seen longest ago is forgotten.
  static constexpr std::size_t kMost = 4 * raft::kMaxServers;

  // The content of the record kBootsSeen.
  std::string encode() const;
  static Result<BootsSeen> decode(std::string_view content);

  // Remembers a start, unless a later one of this incarnation is known, or one with an equal
  // number. Returns true if this changed anything that has to become durable.
  bool saw(const SeenBoot& seen);
  // The latest start of this incarnation.
  SeenBoot of(raft::Incarnation incarnation) const;
  // The latest start of the incarnation that this server had when it was last seen.
  SeenBoot latest_of(raft::ServerId server) const;
  std::size_t size() const { return seen_.size(); }

 private:
  std::deque<SeenBoot> seen_;  // by the time of the last change, newest last
};

}  // namespace vesper::storage
