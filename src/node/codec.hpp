// The byte form of what travels between peers: Raft's messages and the node's own.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "node/ports.hpp"

namespace vesper::node {

// Appends u8 kind, then the message: kinds below 64 are raft's (raft/codec.hpp).
void encode(const PeerMessage& message, std::string& out);

// The whole of `bytes` is one message; commands are copied out of it, each into its own buffer.
Result<PeerMessage> decode(std::string_view bytes);

}  // namespace vesper::node
