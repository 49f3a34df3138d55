#include "peer/link_events.hpp"

#include <algorithm>

namespace vesper::peer {
namespace {

constexpr std::int64_t kUnacknowledged = 8;      // in election timeouts
constexpr Duration kLeastPatience = seconds(1);  // TCP's own first retries are due by then

}  // namespace

void detect_dead_machine(io::Stream& stream, Duration election_timeout) {
  stream.fail_after(std::max(election_timeout * kUnacknowledged, kLeastPatience));
  stream.keep_alive();
}

}  // namespace vesper::peer
