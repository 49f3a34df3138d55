// The wire encoding of messages between peers (docs/peer-protocol.md), little-endian. Entries
// travel in the byte form of raft/entry.hpp. The decoder checks and bounds every field, and its
// error names an unknown kind or version.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "raft/message.hpp"

namespace vesper::raft {

// Appends u8 kind, then the fields in the order of message.hpp.
void encode(const Message& message, std::string& out);

// Requires that `bytes` holds exactly one message. Each entry is copied into its own buffer, so
// that a long-lived value does not keep a whole frame alive.
Result<Message> decode_message(std::string_view bytes);

// The encoded identity of a snapshot, used in messages and at the end of a snapshot file.
void encode_snapshot(const Snapshot& snapshot, std::string& out);
Result<Snapshot> decode_snapshot(ByteReader& r);

}  // namespace vesper::raft
