// The byte form of messages between peers (docs/peer-protocol.md). Little-endian; entries travel in
// their one byte form. Everything is checked and bounded; an unknown kind or version is refused by
// name.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "raft/message.hpp"

namespace vesper::raft {

// Appends u8 kind, then the fields in the order of message.hpp.
void encode(const Message& message, std::string& out);

// The whole of `bytes` is one message. Entries are copied out of it, each into its own buffer, so
// that a long-lived value does not keep a whole frame alive.
Result<Message> decode_message(std::string_view bytes);

// The identity of a snapshot, as it stands in messages and at the end of a snapshot's file.
void encode_snapshot(const Snapshot& snapshot, std::string& out);
Result<Snapshot> decode_snapshot(ByteReader& r);

}  // namespace vesper::raft
