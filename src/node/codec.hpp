// Encodes and decodes the messages between peers: Raft's own (see raft/codec.hpp) and the node's
// (see node/ports.hpp). peer/frames.hpp wraps them in frames.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "node/ports.hpp"

namespace vesper::node {

// Appends a u8 kind and then the message. Kinds below 64 are encoded by raft/codec.hpp.
void encode(const PeerMessage& message, std::string& out);

// Decodes exactly one message; trailing bytes are an error. Each command is copied into its own
// buffer, so the result does not refer to `bytes`.
Result<PeerMessage> decode(std::string_view bytes);

}  // namespace vesper::node
