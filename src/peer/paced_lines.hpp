// Keeps lines about one peer from filling the log: lets one line a minute through for each peer,
// and counts what it has held back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/time.hpp"

namespace vesper::peer {

class PacedLines {
 public:
  static constexpr Duration kPace = seconds(60);
  // Peers that are told apart. Further ones share a place, because anyone may claim any name.
  static constexpr std::size_t kMost = 64;

  // Whether a line about `peer` may be logged at `now`: how many were held back since the one
  // before, or nothing if this one is held back, too.
  std::optional<std::uint64_t> admit(const std::string& peer, Instant now) {
    std::erase_if(lines_, [now](const auto& each) {
      return each.second.held_back == 0 && now - each.second.logged_at >= kPace;
    });
    const bool is_known = lines_.contains(peer);
    const auto [at, is_new] = lines_.try_emplace(is_known || lines_.size() < kMost ? peer : "");
    Line& line = at->second;
    if (!is_new && now - line.logged_at < kPace) {
      ++line.held_back;
      return std::nullopt;
    }
    line.logged_at = now;
    return std::exchange(line.held_back, 0);
  }
  std::size_t size() const { return lines_.size(); }

 private:
  struct Line {
    Instant logged_at;
    std::uint64_t held_back = 0;
  };
  std::map<std::string, Line> lines_;
};

}  // namespace vesper::peer
