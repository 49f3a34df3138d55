#include "raft/codec.hpp"

#include <fmt/core.h>

#include "raft/entry.hpp"

namespace vesper::raft {
namespace {

constexpr std::size_t kMaxConfiguration = 128u << 10;  // above kMaxServers of the largest members
constexpr std::size_t kMaxChunkData = 256u << 10;

enum Kind : std::uint8_t {
  kVoteRequest = 1,
  kVoteReply = 2,
  kAppendEntries = 3,
  kAppendReply = 4,
  kHeartbeat = 5,
  kHeartbeatReply = 6,
  kReadIndexRequest = 7,
  kReadIndexReply = 8,
  kInstallSnapshot = 9,
  kInstallSnapshotReply = 10,
  kTimeoutNow = 11,
};

struct Encode {
  std::string& out;
  ByteWriter w{out};

  void operator()(const VoteRequest& m) {
    w.u8(kVoteRequest);
    w.u64(m.term.value);
    w.u8(m.pre_vote ? 1 : 0);
    w.u64(m.last_log_index.value);
    w.u64(m.last_log_term.value);
    w.u64(m.cluster_id.high);
    w.u64(m.cluster_id.low);
    w.u8(m.transfer ? 1 : 0);
  }
  void operator()(const VoteReply& m) {
    w.u8(kVoteReply);
    w.u64(m.term.value);
    w.u64(m.for_term.value);
    w.u8(m.pre_vote ? 1 : 0);
    w.u8(static_cast<std::uint8_t>(m.refusal));
  }
  void operator()(const AppendEntries& m) {
    w.u8(kAppendEntries);
    w.u64(m.term.value);
    w.u64(m.prev_log_index.value);
    w.u64(m.prev_log_term.value);
    w.u64(m.leader_commit.value);
    w.i64(m.log_time.value);
    w.u32(static_cast<std::uint32_t>(m.entries.size()));
    for (const Entry& entry : m.entries) w.bytes(entry.bytes.view());
  }
  void operator()(const AppendReply& m) {
    w.u8(kAppendReply);
    w.u64(m.term.value);
    w.u8(m.success ? 1 : 0);
    w.u64(m.match_index.value);
    w.u64(m.prev_log_index.value);
    w.u64(m.hint_index.value);
    w.u64(m.hint_term.value);
  }
  void operator()(const Heartbeat& m) {
    w.u8(kHeartbeat);
    w.u64(m.term.value);
    w.u64(m.leader_commit.value);
    w.i64(m.log_time.value);
    w.u64(m.round);
    w.u32(m.leader_lease_ms);
    w.u64(m.echo);
    w.i64(m.age.ns);
    w.u8(static_cast<std::uint8_t>(m.write_block));
    w.u64(m.acknowledged.value);
    w.u64(m.acknowledged_term.value);
    w.u64(m.acknowledged_by.value);
  }
  void operator()(const HeartbeatReply& m) {
    w.u8(kHeartbeatReply);
    w.u64(m.term.value);
    w.u64(m.round);
    w.u64(m.received_index.value);
    w.u64(m.stamp);
    w.u8(static_cast<std::uint8_t>(m.disk));
    w.u8(m.wants_commits ? 1 : 0);
  }
  void operator()(const TimeoutNow& m) {
    w.u8(kTimeoutNow);
    w.u64(m.term.value);
  }
  void operator()(const ReadIndexRequest& m) {
    w.u8(kReadIndexRequest);
    w.u64(m.term.value);
    w.u64(m.id);
    w.u8(m.leader_lease ? 1 : 0);
  }
  void operator()(const ReadIndexReply& m) {
    w.u8(kReadIndexReply);
    w.u64(m.term.value);
    w.u64(m.id);
    w.u64(m.read_index.value);
    w.u8(m.leader_lease ? 1 : 0);
  }
  void operator()(const InstallSnapshot& m) {
    w.u8(kInstallSnapshot);
    w.u64(m.term.value);
    encode_snapshot(m.snapshot, out);
    w.u64(m.chunk);
    w.string(m.data.view());
  }
  void operator()(const InstallSnapshotReply& m) {
    w.u8(kInstallSnapshotReply);
    w.u64(m.term.value);
    w.u64(m.last_index.value);
    w.u64(m.checksum);
    w.u8(m.done ? 1 : 0);
    w.u64(m.match_index.value);
    w.u64(m.next_chunk);
    w.u8(m.asked ? 1 : 0);
  }
};

bool read_flag(ByteReader& r) {
  const std::uint8_t v = r.u8();
  if (v > 1) r.fail();
  return v == 1;
}

// Rejects a time out of range, because arithmetic that continues from it would overflow.
LogTime read_log_time(ByteReader& r) {
  const LogTime time(r.i64());
  if (time < LogTime(0) || time > kMaxLogTime) r.fail();
  return time;
}

VoteReply read_vote_reply(ByteReader& r) {
  VoteReply m;
  m.term = Term(r.u64());
  m.for_term = Term(r.u64());
  m.pre_vote = read_flag(r);
  const std::uint8_t refusal = r.u8();
  if (refusal > static_cast<std::uint8_t>(VoteRefusal::regressed)) r.fail();
  m.refusal = static_cast<VoteRefusal>(refusal);
  return m;
}

Result<Message> read_append_entries(ByteReader& r) {
  AppendEntries m;
  m.term = Term(r.u64());
  m.prev_log_index = Index(r.u64());
  m.prev_log_term = Term(r.u64());
  m.leader_commit = Index(r.u64());
  m.log_time = read_log_time(r);
  const std::uint32_t count = r.u32();
  if (count > r.remaining() / kEntryOverhead) r.fail();
  if (!r.ok()) return Error{"AppendEntries: truncated, or a value is out of range"};
  m.entries.reserve(count);
  Index expected = m.prev_log_index.next();
  Term least = m.prev_log_term;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view rest = r.bytes(r.remaining());
    const std::size_t length = entry_length(rest);
    if (length == 0 || length > rest.size())
      return Error{fmt::format("AppendEntries: entry {} of {} is truncated", i + 1, count)};
    auto entry = decode_entry(SharedBytes::copy_of(rest.substr(0, length)));
    if (!entry) return std::move(entry).error();
    if (entry->index != expected || entry->term < least || entry->term > m.term)
      return Error{fmt::format(
          "AppendEntries: entry {} of term {}; expected index {} and a term of {} "
          "to {}",
          entry->index.value, entry->term.value, expected.value, least.value, m.term.value)};
    expected = expected.next();
    least = entry->term;
    m.entries.push_back(std::move(entry.value()));
    r = ByteReader(rest.substr(length));
  }
  if (!r.at_end()) return Error{"AppendEntries: unexpected bytes after the last entry"};
  return Message{std::move(m)};
}

Message read_heartbeat(ByteReader& r) {
  Heartbeat m;
  m.term = Term(r.u64());
  m.leader_commit = Index(r.u64());
  m.log_time = read_log_time(r);
  m.round = r.u64();
  m.leader_lease_ms = r.u32();
  if (m.leader_lease_ms > kMaxLeaderLease.ms())
    r.fail();  // a restart waits only for kMaxLeaderLease
  m.echo = r.u64();
  m.age = nanoseconds(r.i64());
  if (m.age < Duration{} || m.age > kMaxAge) r.fail();
  const std::uint8_t block = r.u8();
  if (block > static_cast<std::uint8_t>(WriteBlock::waiting)) r.fail();
  m.write_block = static_cast<WriteBlock>(block);
  m.acknowledged = Index(r.u64());
  m.acknowledged_term = Term(r.u64());
  m.acknowledged_by = Incarnation(r.u64());
  return m;
}

Message read_append_reply(ByteReader& r) {
  AppendReply m;
  m.term = Term(r.u64());
  m.success = read_flag(r);
  m.match_index = Index(r.u64());
  m.prev_log_index = Index(r.u64());
  m.hint_index = Index(r.u64());
  m.hint_term = Term(r.u64());
  return m;
}

Message read_vote_request(ByteReader& r) {
  VoteRequest m;
  m.term = Term(r.u64());
  m.pre_vote = read_flag(r);
  m.last_log_index = Index(r.u64());
  m.last_log_term = Term(r.u64());
  m.cluster_id.high = r.u64();
  m.cluster_id.low = r.u64();
  m.transfer = read_flag(r);
  return m;
}

Result<Message> read_install_snapshot(ByteReader& r) {
  InstallSnapshot m;
  m.term = Term(r.u64());
  auto snapshot = decode_snapshot(r);
  if (!snapshot) return std::move(snapshot).error();
  m.snapshot = std::move(snapshot.value());
  m.chunk = r.u64();
  m.data = SharedBytes::copy_of(r.string(kMaxChunkData));
  return Message{std::move(m)};
}

Result<Message> read_small(std::uint8_t kind, ByteReader& r) {
  switch (kind) {
    case kVoteRequest: return read_vote_request(r);
    case kVoteReply: return Message{read_vote_reply(r)};
    case kAppendReply: return read_append_reply(r);
    case kHeartbeat: return read_heartbeat(r);
    case kHeartbeatReply: {
      HeartbeatReply m;
      m.term = Term(r.u64());
      m.round = r.u64();
      m.received_index = Index(r.u64());
      m.stamp = r.u64();
      const std::uint8_t disk = r.u8();
      if (disk > static_cast<std::uint8_t>(DiskHealth::regressed)) r.fail();
      m.disk = static_cast<DiskHealth>(disk);
      m.wants_commits = read_flag(r);
      return Message{m};
    }
    case kTimeoutNow: return Message{TimeoutNow{Term(r.u64())}};
    case kReadIndexRequest: {
      ReadIndexRequest m;
      m.term = Term(r.u64());
      m.id = r.u64();
      m.leader_lease = read_flag(r);
      return Message{m};
    }
    case kReadIndexReply: {
      ReadIndexReply m;
      m.term = Term(r.u64());
      m.id = r.u64();
      m.read_index = Index(r.u64());
      m.leader_lease = read_flag(r);
      return Message{m};
    }
    case kInstallSnapshot: return read_install_snapshot(r);
    case kInstallSnapshotReply: {
      InstallSnapshotReply m;
      m.term = Term(r.u64());
      m.last_index = Index(r.u64());
      m.checksum = r.u64();
      m.done = read_flag(r);
      m.match_index = Index(r.u64());
      m.next_chunk = r.u64();
      m.asked = read_flag(r);
      return Message{m};
    }
    default: return Error{fmt::format("message: kind {} is unknown to this build", kind)};
  }
}

}  // namespace

void encode_snapshot(const Snapshot& snapshot, std::string& out) {
  ByteWriter w(out);
  w.u64(snapshot.last_index.value);
  w.u64(snapshot.last_term.value);
  w.i64(snapshot.log_time.value);
  w.u64(snapshot.log_bytes);
  w.u32(snapshot.chunk_bytes);
  w.u64(snapshot.content_bytes);
  w.u64(snapshot.checksum);
  w.string(encode_configuration(snapshot.configuration));
}

Result<Snapshot> decode_snapshot(ByteReader& r) {
  Snapshot snapshot;
  snapshot.last_index = Index(r.u64());
  snapshot.last_term = Term(r.u64());
  snapshot.log_time = read_log_time(r);
  snapshot.log_bytes = r.u64();
  snapshot.chunk_bytes = r.u32();
  snapshot.content_bytes = r.u64();
  snapshot.checksum = r.u64();
  const std::string_view configuration = r.string(kMaxConfiguration);
  if (!r.ok() || snapshot.last_index.value == 0 || snapshot.last_index > kMaxIndex ||
      snapshot.last_term.value == 0 || snapshot.last_term > kMaxTerm || snapshot.chunk_bytes == 0 ||
      snapshot.chunk_bytes > kMaxChunk || snapshot.content_bytes == 0 ||
      snapshot.content_bytes > kMaxContent)
    return Error{"snapshot: malformed identity"};
  auto decoded = decode_configuration(configuration);
  if (!decoded) return std::move(decoded).error();
  snapshot.configuration = std::move(decoded.value());
  if (snapshot.configuration.index > snapshot.last_index)
    return Error{"snapshot: its configuration is newer than its last entry"};
  return snapshot;
}

void encode(const Message& message, std::string& out) {
  std::visit(Encode{out}, message);
}

Result<Message> decode_message(std::string_view bytes) {
  ByteReader r(bytes);
  const std::uint8_t kind = r.u8();
  auto message = kind == kAppendEntries ? read_append_entries(r) : read_small(kind, r);
  if (!message) return message;
  if (kind != kAppendEntries && (!r.ok() || !r.at_end()))
    return Error{
        fmt::format("message of kind {}: {} bytes do not match its format", kind, bytes.size())};
  if (term_of(*message) > kMaxTerm)
    return Error{
        fmt::format("message of kind {}: term {} is out of range", kind, term_of(*message).value)};
  return message;
}

}  // namespace vesper::raft
