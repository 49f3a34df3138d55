// What two nodes tell each other before a frame is sent, and why one refuses the other
// (docs/peer-protocol.md). Data and judgement: no sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/host_port.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "node/node.hpp"
#include "peer/frames.hpp"
#include "raft/types.hpp"

namespace vesper::peer {

inline constexpr std::string_view kPeerProtocol = "vesper-raft/1";
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;
inline constexpr std::uint32_t kFeatureLevel = 1;

using raft::Channel;
std::string_view to_string(Channel channel);

// One side's part of the handshake; on the wire, header fields.
struct Hello {
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  std::uint32_t feature_level = kFeatureLevel;
  raft::PeerState state;
  raft::ServerId from, to;
  raft::Incarnation incarnation;
  raft::BootId boot;
  std::uint64_t list_hash = 0;
  Channel channel = Channel::control;
  bool keyed = false;
  Id128 nonce;  // random, for this connection only
};

void append_hello(std::string& out, const Hello& hello);
// What a refusal says beside its reason.
void append_state(std::string& out, const raft::PeerState& state);
// Of a refusal. Nothing: the peer is still reading its log, or its fields are malformed.
std::optional<raft::PeerState> read_state(const http::Fields& fields);
// Every field is there once and well formed; otherwise what is wrong.
Result<Hello> read_hello(const http::Fields& fields);

// Over the addresses of the list, in their order.
std::uint64_t hash_of(const std::vector<HostPort>& list);

// Why `theirs` must not speak to us, as far as words go; a key proves itself later. `ours` is what
// we answered or would answer. Nothing: it may.
std::optional<node::PeerRefusal> refuse_hello(const Hello& ours, const Hello& theirs,
                                              const node::Node& node);

// What both sides derive from the two hellos. With a key: the acceptor's proof, sent with its
// hello, and the secret of the frames, whose first one is the dialler's proof. Without one there is
// no proof, only a seed that no other connection has.
struct Agreement {
  crypto::Digest acceptor_proof{};
  FrameSecret secret;
};
Agreement agree(std::string_view key, const Hello& dialler, const Hello& acceptor);

}  // namespace vesper::peer
