// The handshake between two nodes: what they tell each other before any frame, and why one may
// refuse the other (docs/peer-protocol.md). No sockets; in_link.hpp, out_link.hpp and peers.hpp
// send these messages. node/peer_rules.hpp decides about membership.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/host_port.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "node/peer_rules.hpp"
#include "peer/frames.hpp"
#include "peer/settings.hpp"
#include "raft/types.hpp"

namespace vesper::peer {

inline constexpr std::string_view kPeerProtocol = "vesper-raft/1";
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;
// How long either side waits for the handshake of the other before it closes the connection.
inline constexpr Duration kGreetTimeout = seconds(2);

using raft::Channel;
std::string_view to_string(Channel channel);

// The acceptor's verdict on the dialler.
enum class Standing : std::uint8_t {
  welcome = 0,
  left = 1,  // it was a member of the cluster and is none any more
};

// One side's part of the handshake. Sent as header fields.
struct Hello {
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  node::Greeting self;
  // The number of the other side, as this side knows it. It decides nothing.
  raft::ServerId to = raft::kNoServer;
  raft::BootId boot;
  std::uint64_t boot_number = 1;  // of the starts of this side's data directory
  SeenBoot boot_seen;             // the latest start of the other side that this side has seen
  std::uint64_t list_hash = 0;
  Channel channel = Channel::control;
  Standing standing = Standing::welcome;  // of the dialler, in the acceptor's hello
  bool keyed = false;
  Id128 nonce;  // random and used for this connection only
};

// How a log line calls the sender of a hello.
std::string name_of(const Hello& hello);
void append_hello(std::string& out, const Hello& hello);
// Appends the server's own state. A refusal carries it in addition to its reason.
void append_state(std::string& out, const raft::PeerState& state);
// Reads the state in a refusal. Nothing if the peer is still recovering its log, or if its fields
// are malformed.
std::optional<raft::PeerState> read_state(const http::Fields& fields);
// Requires every field exactly once and well formed; the error names the first one that is not.
Result<Hello> read_hello(const http::Fields& fields);

// A hash over the addresses of the list, in order.
std::uint64_t hash_of(const std::vector<HostPort>& list);

// Returns why `theirs` must be refused, whichever server it comes from. node/peer_rules.hpp judges
// the server. This does not verify the key; the proof does. `ours` is the hello that this server
// sends to that peer.
std::optional<node::PeerRefusal> refuse_hello(const Hello& ours, const Hello& theirs);
// Why `theirs` may not connect while another process speaks as the same member: `connected`.
node::PeerRefusal refuse_second_process(const Hello& connected, const Hello& theirs);

// What both sides derive from the two hellos. With a key, this is the acceptor's proof, sent with
// its hello, and the secret that tags the frames; the first frame is the dialler's proof. Without a
// key, there is no proof, only a seed that is unique to the connection.
struct Agreement {
  crypto::Digest acceptor_proof{};
  FrameSecret secret;
};
Agreement agree(std::string_view key, const Hello& dialler, const Hello& acceptor);

}  // namespace vesper::peer
