#include "raft/entry.hpp"

#include <fmt/core.h>

#include "base/checksum.hpp"

namespace vesper::raft {
namespace {

constexpr std::uint8_t kConfigurationVersion = 2;
constexpr std::uint8_t kRegistrationVersion = 2;

bool known_type(std::uint8_t type) {
  return type >= static_cast<std::uint8_t>(EntryType::noop) &&
         type <= static_cast<std::uint8_t>(EntryType::membership);
}

}  // namespace

SharedBytes Entry::payload() const {
  VESPER_ASSERT(bytes.size() >= kEntryOverhead);
  return bytes.slice(kEntryHeader, bytes.size() - kEntryOverhead);
}

Entry make_entry(Index index, Term term, EntryType type, LogTime time, Origin origin,
                 std::string_view payload) {
  VESPER_ASSERT(payload.size() <= kMaxPayload);
  const std::size_t length = payload.size() + kEntryOverhead;
  std::string header;
  header.reserve(kEntryHeader);
  ByteWriter w(header);
  w.u32(static_cast<std::uint32_t>(length));
  w.u8(kEntryVersion);
  w.u8(static_cast<std::uint8_t>(type));
  w.u16(0);
  w.u64(index.value);
  w.u64(term.value);
  w.i64(time.value);
  w.u32(origin.server.value);
  w.u64(origin.boot.value);
  w.u64(origin.sequence);
  VESPER_ASSERT(header.size() == kEntryHeader);
  Entry entry{index, term, type, time, origin, {}};
  entry.bytes = SharedBytes::make(length, [&](char* out) {
    std::memcpy(out, header.data(), kEntryHeader);
    if (!payload.empty()) std::memcpy(out + kEntryHeader, payload.data(), payload.size());
    const std::uint64_t sum = checksum64({out, length - 8});
    for (std::size_t i = 0; i < 8; ++i) out[length - 8 + i] = static_cast<char>(sum >> (8 * i));
  });
  return entry;
}

std::size_t entry_length(std::string_view bytes) {
  ByteReader r(bytes);
  const std::size_t length = r.u32();
  if (!r.ok() || length < kEntryOverhead || length > kMaxEntry) return 0;
  return length;
}

Result<Entry> decode_entry(const SharedBytes& bytes) {
  const std::size_t length = entry_length(bytes.view());
  if (length == 0) return Error{"entry: length out of bounds"};
  if (length > bytes.size())
    return Error{
        fmt::format("entry: its length is {} bytes, but only {} are left", length, bytes.size())};
  const std::string_view view = bytes.view().substr(0, length);
  ByteReader r(view);
  r.u32();
  Entry entry;
  const std::uint8_t version = r.u8();
  const std::uint8_t type = r.u8();
  const std::uint16_t flags = r.u16();
  entry.index = Index(r.u64());
  entry.term = Term(r.u64());
  entry.time = LogTime(r.i64());
  entry.origin.server = ServerId(r.u32());
  entry.origin.boot = BootId(r.u64());
  entry.origin.sequence = r.u64();
  ByteReader tail(view.substr(length - 8));
  if (tail.u64() != checksum64(view.substr(0, length - 8)))
    return Error{fmt::format("entry: checksum does not match (index {})", entry.index.value)};
  // Checked after the checksum, so that damage is not reported as a newer version.
  if (version != kEntryVersion)
    return Error{fmt::format("entry {}: version {} is unknown, this build knows {}",
                             entry.index.value, version, kEntryVersion)};
  if (!known_type(type) || flags != 0)
    return Error{fmt::format("entry {}: type {} with flags {} is unknown to this build",
                             entry.index.value, type, flags)};
  if (entry.index.value == 0 || entry.term.value == 0 || entry.term > kMaxTerm)
    return Error{fmt::format("entry: index {} of term {} is out of range", entry.index.value,
                             entry.term.value)};
  if (entry.time < LogTime(0) || entry.time > kMaxLogTime)
    return Error{
        fmt::format("entry {}: log time {} is out of range", entry.index.value, entry.time.value)};
  entry.type = static_cast<EntryType>(type);
  entry.bytes = bytes.slice(0, length);
  // Raft itself interprets these types, so their payloads are checked here, for every source.
  const std::string_view payload = view.substr(kEntryHeader, length - kEntryOverhead);
  if (entry.type == EntryType::bootstrap || entry.type == EntryType::membership) {
    if (auto read = decode_configuration(payload); !read) return std::move(read).error();
  } else if (entry.type == EntryType::registration) {
    if (auto read = decode_registration(payload); !read) return std::move(read).error();
  }
  return entry;
}

std::string encode_configuration(const Configuration& configuration) {
  std::string out;
  ByteWriter w(out);
  w.u8(kConfigurationVersion);
  w.u64(configuration.cluster_id.high);
  w.u64(configuration.cluster_id.low);
  w.u64(configuration.index.value);
  w.u32(configuration.level);
  w.u32(configuration.unused_id().value);
  w.u32(configuration.unused_node().value);
  w.u32(static_cast<std::uint32_t>(configuration.members.size()));
  for (const Member& member : configuration.members) {
    w.u32(member.id.value);
    w.u32(member.node.value);
    w.u64(member.incarnation.value);
    w.u8(static_cast<std::uint8_t>(member.seat));
    w.u8(static_cast<std::uint8_t>(member.goal));
    w.u64(member.plan.value);
    w.u32(member.level);
    w.string(member.address);
    w.string(member.name);
  }
  return out;
}

namespace {

Result<Member> read_member(ByteReader& r) {
  Member member;
  member.id = ServerId(r.u32());
  member.node = NodeId(r.u32());
  member.incarnation = Incarnation(r.u64());
  const std::uint8_t seat = r.u8();
  const std::uint8_t goal = r.u8();
  member.plan = Index(r.u64());
  member.level = r.u32();
  member.address = std::string(r.string(kMaxAddress));
  member.name = std::string(r.string(kMaxName));
  if (member.id.value > kMaxServerId || member.node.value > kMaxServerId)
    return Error{fmt::format("configuration: member {} of node {}, expected at most {}",
                             member.id.value, member.node.value, kMaxServerId)};
  if (seat > static_cast<std::uint8_t>(Seat::outgoing) ||
      goal > static_cast<std::uint8_t>(Goal::leave) || member.plan > kMaxIndex ||
      member.level > kMaxLevel)
    return Error{
        fmt::format("configuration: seat {}, goal {}, plan {} or level {} of member {} is unknown",
                    seat, goal, member.plan.value, member.level, member.id.value)};
  member.seat = static_cast<Seat>(seat);
  member.goal = static_cast<Goal>(goal);
  return member;
}

}  // namespace

Result<Configuration> decode_configuration(std::string_view payload) {
  ByteReader r(payload);
  if (const std::uint8_t version = r.u8(); version != kConfigurationVersion)
    return Error{fmt::format("configuration: version {} is unknown", version)};
  Configuration configuration;
  configuration.cluster_id.high = r.u64();
  configuration.cluster_id.low = r.u64();
  configuration.index = Index(r.u64());
  configuration.level = r.u32();
  configuration.next_id = ServerId(r.u32());
  configuration.next_node = NodeId(r.u32());
  const std::uint32_t count = r.u32();
  if (count == 0 || count > kMaxServers)
    return Error{fmt::format("configuration: {} members, expected 1 to {}", count, kMaxServers)};
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    auto member = read_member(r);
    if (!member) return std::move(member).error();
    if (i > 0 && member->id <= configuration.members.back().id)
      return Error{"configuration: members are not in the order of their numbers"};
    configuration.members.push_back(std::move(member.value()));
  }
  if (!r.ok() || !r.at_end() || configuration.cluster_id.is_none() ||
      configuration.index > kMaxIndex || configuration.level > kMaxLevel)
    return Error{"configuration: malformed payload"};
  if (configuration.voters() == 0) return Error{"configuration: no member votes"};
  if (configuration.next_id != configuration.unused_id() ||
      configuration.next_node != configuration.unused_node() ||
      configuration.next_id.value > kMaxServerId || configuration.next_node.value > kMaxServerId)
    return Error{"configuration: the next number is out of range"};
  return configuration;
}

bool changes_configuration(const Entry& entry) {
  switch (entry.type) {
    case EntryType::bootstrap:
    case EntryType::registration:
    case EntryType::membership: return true;
    case EntryType::noop:
    case EntryType::command: return false;
  }
  return false;
}

void apply_configuration(const Entry& entry, Configuration& configuration) {
  if (!changes_configuration(entry)) return;
  if (entry.type == EntryType::registration) {
    const auto registration = decode_registration(entry.payload().view());
    VESPER_ASSERT(registration.ok());
    for (Member& member : configuration.members) {
      if (member.id != registration->id) continue;
      if (member.incarnation.value == 0) member.incarnation = registration->incarnation;
      if (member.incarnation == registration->incarnation) member.level = registration->level;
    }
    configuration.raise_level();
  } else {
    auto read = decode_configuration(entry.payload().view());
    VESPER_ASSERT(read.ok());  // decode_entry has checked it
    configuration = std::move(read.value());
  }
  configuration.index = entry.index;
}

std::string encode_registration(const Registration& registration) {
  std::string out;
  ByteWriter w(out);
  w.u8(kRegistrationVersion);
  w.u32(registration.id.value);
  w.u64(registration.incarnation.value);
  w.u32(registration.level);
  return out;
}

Result<Registration> decode_registration(std::string_view payload) {
  ByteReader r(payload);
  if (const std::uint8_t version = r.u8(); version != kRegistrationVersion)
    return Error{fmt::format("registration entry: version {} is unknown", version)};
  Registration registration;
  registration.id = ServerId(r.u32());
  registration.incarnation = Incarnation(r.u64());
  registration.level = r.u32();
  if (!r.ok() || !r.at_end() || registration.incarnation.value == 0 ||
      registration.level > kMaxLevel)
    return Error{"registration entry: malformed payload"};
  return registration;
}

}  // namespace vesper::raft
