#include "node/codec_members.hpp"

#include "raft/entry.hpp"

namespace vesper::node {
namespace {

constexpr std::size_t kMaxText = raft::kMaxAddress;
constexpr std::size_t kMaxConfigurationBytes = 1u << 20;
constexpr std::uint8_t kAppended = 0;  // the outcomes in a MembersReply
constexpr std::uint8_t kRefused = 1;
constexpr std::uint8_t kForbidden = 2;
// Stands for "no particular server" in place of an id.
constexpr std::uint32_t kAnybody = 0xffffffff;

template <typename Value>
void write_nodes(const Value& nodes, ByteWriter& w) {
  w.u32(static_cast<std::uint32_t>(nodes.size()));
  for (const raft::NodeId node : nodes) w.u32(node.value);
}

// The number of elements that follow: at most kMaxServers of each kind.
std::size_t read_count(ByteReader& r) {
  const std::uint32_t count = r.u32();
  if (count > raft::kMaxServers) r.fail();
  return r.ok() ? count : 0;
}

raft::NodeId read_node(ByteReader& r) {
  const std::uint32_t node = r.u32();
  if (node > raft::kMaxServerId) r.fail();
  return raft::NodeId(node);
}

void read_nodes(ByteReader& r, std::vector<raft::NodeId>& nodes) {
  for (std::size_t left = read_count(r); left > 0 && r.ok(); --left) nodes.push_back(read_node(r));
}

// A value of an enum with `last` as its largest one.
template <typename Enum>
Enum read_enum(ByteReader& r, Enum last) {
  const std::uint8_t value = r.u8();
  if (value > static_cast<std::uint8_t>(last)) r.fail();
  return r.ok() ? static_cast<Enum>(value) : Enum{};
}

raft::Term read_term(ByteReader& r) {
  const raft::Term term(r.u64());
  if (term > raft::kMaxTerm) r.fail();
  return term;
}

raft::Index read_index(ByteReader& r) {
  const raft::Index index(r.u64());
  if (index > raft::kMaxIndex) r.fail();
  return index;
}

void write_request(const raft::MembersRequest& request, ByteWriter& w) {
  w.u8(static_cast<std::uint8_t>(request.force));
  w.u32(static_cast<std::uint32_t>(request.add.size()));
  for (const auto& addition : request.add) {
    w.string(addition.address);
    w.string(addition.name);
    w.u8(static_cast<std::uint8_t>(addition.goal));
  }
  write_nodes(request.remove, w);
  write_nodes(request.promote, w);
  write_nodes(request.demote, w);
  w.u32(static_cast<std::uint32_t>(request.update.size()));
  for (const auto& move : request.update) {
    w.u32(move.node.value);
    w.string(move.address);
  }
}

void read_request(ByteReader& r, raft::MembersRequest& request) {
  request.force = read_enum(r, raft::MembersRequest::Force::yes);
  for (std::size_t left = read_count(r); left > 0 && r.ok(); --left) {
    raft::MembersRequest::Addition addition;
    addition.address = r.string(kMaxText);
    addition.name = r.string(kMaxText);
    addition.goal = read_enum(r, raft::Goal::vote);
    if (addition.address.empty()) r.fail();
    request.add.push_back(std::move(addition));
  }
  read_nodes(r, request.remove);
  read_nodes(r, request.promote);
  read_nodes(r, request.demote);
  for (std::size_t left = read_count(r); left > 0 && r.ok(); --left) {
    const raft::NodeId node = read_node(r);
    request.update.push_back({node, std::string(r.string(kMaxText))});
    if (request.update.back().address.empty()) r.fail();
  }
}

// The last field of a message, missing if there is none.
void write_identity(const std::optional<kv::Identity>& identity, ByteWriter& w) {
  if (!identity) return;
  w.string(identity->name);
  w.u64(identity->id);
}

void read_identity(ByteReader& r, std::optional<kv::Identity>& identity) {
  if (!r.ok() || r.at_end()) return;
  identity.emplace();
  identity->name = r.string(kv::kMaxTokenName);
  identity->id = r.u64();
  if (r.ok() && (!kv::is_token_name(identity->name) || identity->id == 0)) r.fail();
}

}  // namespace

void write(const TransferAsked& m, ByteWriter& w) {
  w.u64(m.term.value);
  w.u32(m.to ? m.to->value : kAnybody);
  write_identity(m.identity, w);
}

void read(ByteReader& r, TransferAsked& m) {
  m.term = read_term(r);
  const std::uint32_t to = r.u32();
  if (to != kAnybody && to > raft::kMaxServerId) r.fail();
  if (to != kAnybody) m.to = raft::ServerId(to);
  read_identity(r, m.identity);
}

void write(const TransferRefused& m, ByteWriter& w) {
  w.u64(m.term.value);
  write_identity(m.identity, w);
}

void read(ByteReader& r, TransferRefused& m) {
  m.term = read_term(r);
  read_identity(r, m.identity);
}

void write(const MembersAsked& m, ByteWriter& w) {
  w.u64(m.term.value);
  w.u64(m.boot.value);
  w.u64(m.number);
  write_request(m.request, w);
  write_identity(m.identity, w);
}

void read(ByteReader& r, MembersAsked& m) {
  m.term = read_term(r);
  m.boot = raft::BootId(r.u64());
  m.number = r.u64();
  read_request(r, m.request);
  read_identity(r, m.identity);
}

void write(const MembersReply& m, ByteWriter& w) {
  w.u64(m.boot.value);
  w.u64(m.number);
  if (const auto* appended = std::get_if<MembersAppended>(&m.outcome)) {
    w.u8(kAppended);
    w.u64(appended->index.value);
    w.u64(appended->term.value);
    return;
  }
  if (std::holds_alternative<MembersForbidden>(m.outcome)) return w.u8(kForbidden);
  const auto& refusal = std::get<raft::MembersRefusal>(m.outcome);
  w.u8(kRefused);
  w.u8(static_cast<std::uint8_t>(refusal.why));
  w.u64(refusal.index.value);
  write_nodes(refusal.nodes, w);
  w.string(refusal.address);
}

void read(ByteReader& r, MembersReply& m) {
  m.boot = raft::BootId(r.u64());
  m.number = r.u64();
  const std::uint8_t kind = r.u8();
  if (kind == kAppended) {
    const raft::Index index = read_index(r);
    m.outcome = MembersAppended{index, read_term(r)};
  } else if (kind == kRefused) {
    raft::MembersRefusal refusal;
    refusal.why = read_enum(r, raft::MembersRefusal::Why::too_old);
    refusal.index = read_index(r);
    read_nodes(r, refusal.nodes);
    refusal.address = r.string(kMaxText);
    m.outcome = std::move(refusal);
  } else if (kind == kForbidden) {
    m.outcome = MembersForbidden{};
  } else {
    r.fail();
  }
}

void write(const ClusterAsked& m, ByteWriter& w) {
  w.u64(m.term.value);
  w.u64(m.boot.value);
  w.u64(m.number);
}

void read(ByteReader& r, ClusterAsked& m) {
  m.term = read_term(r);
  m.boot = raft::BootId(r.u64());
  m.number = r.u64();
}

void write(const ClusterReply& m, ByteWriter& w) {
  w.u64(m.boot.value);
  w.u64(m.number);
  w.string(raft::encode_configuration(m.view.configuration));
  w.u32(m.view.leader ? m.view.leader->value : raft::kNoServer.value);
  w.u64(m.view.last_index.value);
  w.u32(static_cast<std::uint32_t>(m.view.rows.size()));
  for (const ClusterView::Row& row : m.view.rows) {
    w.u32(row.member.value);
    w.u8(row.is_reachable ? 1 : 0);
    w.u8(static_cast<std::uint8_t>(row.state));
    w.u8(row.match_index ? 1 : 0);
    w.u64(row.match_index.value_or(raft::Index(0)).value);
  }
}

void read(ByteReader& r, ClusterReply& m) {
  m.boot = raft::BootId(r.u64());
  m.number = r.u64();
  auto configuration = raft::decode_configuration(r.string(kMaxConfigurationBytes));
  if (!configuration) return r.fail();
  m.view.configuration = std::move(configuration.value());
  m.view.is_leaders = true;  // no other view is sent
  const raft::ServerId leader(r.u32());
  if (leader != raft::kNoServer) m.view.leader = leader;
  m.view.last_index = read_index(r);
  for (std::size_t left = read_count(r); left > 0 && r.ok(); --left) {
    ClusterView::Row row;
    row.member = raft::ServerId(r.u32());
    row.is_reachable = r.u8() != 0;
    row.state = read_enum(r, MemberState::promoting);
    const bool is_matched = r.u8() != 0;
    const raft::Index match = read_index(r);
    if (is_matched) row.match_index = match;
    m.view.rows.push_back(row);
  }
}

}  // namespace vesper::node
