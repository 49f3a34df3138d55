#include "node/codec.hpp"

#include <fmt/core.h>

#include "node/codec_members.hpp"
#include "node/trace_codec.hpp"
#include "raft/codec.hpp"
#include "raft/entry.hpp"

namespace vesper::node {
namespace {

constexpr std::uint8_t kFirstOwnKind = 64;
constexpr std::uint8_t kForward = 64;
constexpr std::uint8_t kForwardReply = 65;
constexpr std::uint8_t kTransferAsked = 66;
constexpr std::uint8_t kDigestAsked = 67;
constexpr std::uint8_t kDigestReply = 68;
constexpr std::uint8_t kMembersAsked = 69;
constexpr std::uint8_t kMembersReply = 70;
constexpr std::uint8_t kClusterAsked = 71;
constexpr std::uint8_t kClusterReply = 72;
constexpr std::uint8_t kTraceAsked = 73;
constexpr std::uint8_t kTraceHeard = 74;
constexpr std::uint8_t kTransferRefused = 75;
constexpr std::size_t kLeastWrite = 8 + 4;

struct Encode {
  std::string& out;

  void operator()(const raft::Message& m) { raft::encode(m, out); }
  void operator()(const Forward& m) {
    ByteWriter w(out);
    w.u8(kForward);
    w.u64(m.term.value);
    w.u64(m.boot.value);
    w.u32(m.attempt);
    w.u64(m.previous);
    w.u32(static_cast<std::uint32_t>(m.writes.size()));
    for (const Forward::Write& write : m.writes) {
      w.u64(write.sequence);
      w.string(write.command.view());
    }
  }
  void operator()(const ForwardReply& m) {
    ByteWriter w(out);
    w.u8(kForwardReply);
    w.u64(m.term.value);
    w.u64(m.boot.value);
    w.u32(m.attempt);
    w.u64(m.accepted);
    w.u8(m.gap ? 1 : 0);
  }
  void operator()(const TransferAsked& m) {
    ByteWriter w(out);
    w.u8(kTransferAsked);
    write(m, w);
  }
  void operator()(const TransferRefused& m) {
    ByteWriter w(out);
    w.u8(kTransferRefused);
    write(m, w);
  }
  void operator()(const DigestAsked& m) {
    ByteWriter w(out);
    w.u8(kDigestAsked);
    w.u64(m.term.value);
    w.u64(m.index.value);
    w.u8(m.verdict ? 1 : 0);
    if (!m.verdict) return;
    w.u64(m.verdict->index.value);
    w.u64(m.verdict->digest.high);
    w.u64(m.verdict->digest.low);
  }
  void operator()(const DigestReply& m) {
    ByteWriter w(out);
    w.u8(kDigestReply);
    w.u64(m.term.value);
    w.u64(m.index.value);
    w.u64(m.digest.high);
    w.u64(m.digest.low);
  }
  void operator()(const MembersAsked& m) {
    ByteWriter w(out);
    w.u8(kMembersAsked);
    write(m, w);
  }
  void operator()(const MembersReply& m) {
    ByteWriter w(out);
    w.u8(kMembersReply);
    write(m, w);
  }
  void operator()(const ClusterAsked& m) {
    ByteWriter w(out);
    w.u8(kClusterAsked);
    write(m, w);
  }
  void operator()(const ClusterReply& m) {
    ByteWriter w(out);
    w.u8(kClusterReply);
    write(m, w);
  }
  void operator()(const TraceAsked& m) {
    ByteWriter w(out);
    w.u8(kTraceAsked);
    write(m, w);
  }
  void operator()(const TraceHeard& m) {
    ByteWriter w(out);
    w.u8(kTraceHeard);
    write(m, w);
  }
};

// Decodes a message of codec_members.hpp or trace_codec.hpp.
template <typename Message>
Result<PeerMessage> decode_as(ByteReader& r, std::string_view name) {
  Message m;
  read(r, m);
  if (!r.ok() || !r.at_end()) return Error{fmt::format("{}: malformed", name)};
  return PeerMessage{std::move(m)};
}

Result<PeerMessage> decode_digest_asked(ByteReader& r) {
  DigestAsked m;
  m.term = raft::Term(r.u64());
  m.index = raft::Index(r.u64());
  const std::uint8_t has_verdict = r.u8();
  if (has_verdict == 1) {
    DigestAsked::Verdict verdict;
    verdict.index = raft::Index(r.u64());
    verdict.digest.high = r.u64();
    verdict.digest.low = r.u64();
    m.verdict = verdict;
  }
  if (!r.ok() || !r.at_end() || m.term > raft::kMaxTerm || has_verdict > 1)
    return Error{"DigestAsked: malformed"};
  return PeerMessage{m};
}

Result<PeerMessage> decode_digest_reply(ByteReader& r) {
  DigestReply m;
  m.term = raft::Term(r.u64());
  m.index = raft::Index(r.u64());
  m.digest.high = r.u64();
  m.digest.low = r.u64();
  if (!r.ok() || !r.at_end() || m.term > raft::kMaxTerm) return Error{"DigestReply: malformed"};
  return PeerMessage{m};
}

Result<PeerMessage> decode_forward(ByteReader& r) {
  Forward m;
  m.term = raft::Term(r.u64());
  m.boot = raft::BootId(r.u64());
  m.attempt = r.u32();
  m.previous = r.u64();
  const std::uint32_t count = r.u32();
  if (count > r.remaining() / kLeastWrite) r.fail();
  std::uint64_t last = m.previous;
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    const std::uint64_t sequence = r.u64();
    const std::string_view command = r.string(raft::kMaxPayload);
    if (sequence <= last) return Error{"Forward: sequence numbers do not increase"};
    last = sequence;
    m.writes.push_back({sequence, SharedBytes::copy_of(command)});
  }
  if (!r.ok() || !r.at_end()) return Error{"Forward: its length does not match its content"};
  if (m.term > raft::kMaxTerm || m.boot.value == 0)
    return Error{"Forward: term or boot id is out of range"};
  return PeerMessage{std::move(m)};
}

Result<PeerMessage> decode_forward_reply(ByteReader& r) {
  ForwardReply m;
  m.term = raft::Term(r.u64());
  m.boot = raft::BootId(r.u64());
  m.attempt = r.u32();
  m.accepted = r.u64();
  m.gap = r.u8() != 0;
  if (!r.ok() || !r.at_end()) return Error{"ForwardReply: its length does not match its content"};
  return PeerMessage{m};
}

}  // namespace

void encode(const PeerMessage& message, std::string& out) {
  std::visit(Encode{out}, message);
}

Result<PeerMessage> decode(std::string_view bytes) {
  if (!bytes.empty() && static_cast<std::uint8_t>(bytes[0]) >= kFirstOwnKind) {
    ByteReader r(bytes);
    switch (const std::uint8_t kind = r.u8()) {
      case kForward: return decode_forward(r);
      case kForwardReply: return decode_forward_reply(r);
      case kTransferAsked: return decode_as<TransferAsked>(r, "TransferAsked");
      case kTransferRefused: return decode_as<TransferRefused>(r, "TransferRefused");
      case kDigestAsked: return decode_digest_asked(r);
      case kDigestReply: return decode_digest_reply(r);
      case kMembersAsked: return decode_as<MembersAsked>(r, "MembersAsked");
      case kMembersReply: return decode_as<MembersReply>(r, "MembersReply");
      case kClusterAsked: return decode_as<ClusterAsked>(r, "ClusterAsked");
      case kClusterReply: return decode_as<ClusterReply>(r, "ClusterReply");
      case kTraceAsked: return decode_as<TraceAsked>(r, "TraceAsked");
      case kTraceHeard: return decode_as<TraceHeard>(r, "TraceHeard");
      default: return Error{fmt::format("message: kind {} is unknown to this build", kind)};
    }
  }
  auto message = raft::decode_message(bytes);
  if (!message) return std::move(message).error();
  return PeerMessage{std::move(message.value())};
}

}  // namespace vesper::node
