#include "peer/link_events.hpp"

#include <algorithm>

namespace vesper::peer {
namespace {

constexpr std::int64_t kUnacknowledged = 8;      // multiples of the election timeout
constexpr Duration kLeastPatience = seconds(1);  // leaves time for TCP's own first retransmissions

}  // namespace

void detect_dead_machine(io::Stream& stream, Duration election_timeout) {
  stream.fail_after(std::max(election_timeout * kUnacknowledged, kLeastPatience));
  stream.keep_alive();
}

}  // namespace vesper::peer
