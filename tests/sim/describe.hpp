// Messages between peers as text, for traces.
#pragma once

#include <string>

#include "node/ports.hpp"

namespace vesper::sim {

std::string describe(const node::PeerMessage& message);

}  // namespace vesper::sim
