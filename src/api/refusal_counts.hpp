// Bounds what refused requests write to the audit log, because clients without any right decide how
// many there are. The first kOwnLines refusals of a kind in a window have lines of their own. The
// others of that window share one line, which has their number.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace vesper::api {

class RefusalCounts {
 public:
  // In one window. Further kinds are counted together, without lines of their own.
  static constexpr std::size_t kMaxKinds = 16;
  static constexpr std::uint64_t kOwnLines = 5;  // of a kind, in one window

  struct Kind {
    std::string address;    // of the client, without the port
    std::string token;      // its name; empty: none
    int status = 0;         // of the reply
    std::string_view code;  // of the problem; static text

    auto operator<=>(const Kind&) const = default;
  };

  // Whether the refusal gets a line of its own. If not, it is counted.
  bool take(Kind kind) {
    const auto at = counts_.find(kind);
    if (at != counts_.end()) return ++at->second <= kOwnLines;
    if (counts_.size() >= kMaxKinds) {
      ++others_;
      return false;
    }
    counts_.emplace(std::move(kind), 1);
    return true;
  }

  // Ends the window. Calls visit(const Kind*, std::uint64_t) for each kind with refusals that got
  // no line of their own, and their number; null stands for the kinds beyond kMaxKinds.
  template <typename Visit>
  void end_window(const Visit& visit) {
    for (const auto& [kind, count] : std::exchange(counts_, {}))
      if (count > kOwnLines) visit(&kind, count - kOwnLines);
    if (const std::uint64_t count = std::exchange(others_, 0)) visit(nullptr, count);
  }

  // No window is open.
  bool is_empty() const { return counts_.empty(); }

 private:
  std::map<Kind, std::uint64_t> counts_;
  std::uint64_t others_ = 0;  // of further kinds
};

}  // namespace vesper::api
