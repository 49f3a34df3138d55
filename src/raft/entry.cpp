#include "raft/entry.hpp"

#include <fmt/core.h>

#include "base/checksum.hpp"

namespace vesper::raft {
namespace {

constexpr std::uint8_t kBootstrapVersion = 1;
constexpr std::uint8_t kRegistrationVersion = 1;
constexpr std::size_t kMaxAddress = 512;

bool known_type(std::uint8_t type) {
  return type >= static_cast<std::uint8_t>(EntryType::noop) &&
         type <= static_cast<std::uint8_t>(EntryType::command);
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
  // Raft itself interprets these two types, so their payloads are checked here, for every source.
  const std::string_view payload = view.substr(kEntryHeader, length - kEntryOverhead);
  if (entry.type == EntryType::bootstrap) {
    if (auto read = decode_bootstrap(payload); !read) return std::move(read).error();
  } else if (entry.type == EntryType::registration) {
    if (auto read = decode_registration(payload); !read) return std::move(read).error();
  }
  return entry;
}

std::string encode_bootstrap(const Configuration& configuration) {
  std::string out;
  ByteWriter w(out);
  w.u8(kBootstrapVersion);
  w.u64(configuration.cluster_id.high);
  w.u64(configuration.cluster_id.low);
  w.u32(static_cast<std::uint32_t>(configuration.voters.size()));
  for (const Voter& voter : configuration.voters) {
    w.u32(voter.id.value);
    w.u64(voter.incarnation.value);
    w.string(voter.address);
  }
  return out;
}

Result<Configuration> decode_bootstrap(std::string_view payload) {
  ByteReader r(payload);
  if (const std::uint8_t version = r.u8(); version != kBootstrapVersion)
    return Error{fmt::format("bootstrap entry: version {} is unknown", version)};
  Configuration configuration;
  configuration.cluster_id.high = r.u64();
  configuration.cluster_id.low = r.u64();
  const std::uint32_t count = r.u32();
  if (count == 0 || count > kMaxServers)
    return Error{fmt::format("bootstrap entry: {} voters, expected 1 to {}", count, kMaxServers)};
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    Voter voter;
    voter.id = ServerId(r.u32());
    voter.incarnation = Incarnation(r.u64());
    voter.address = std::string(r.string(kMaxAddress));
    if (voter.id.value >= kMaxServers)
      return Error{fmt::format("bootstrap entry: voter {}, expected 0 to {}", voter.id.value,
                               kMaxServers - 1)};
    if (i > 0 && voter.id <= configuration.voters.back().id)
      return Error{"bootstrap entry: voters are not in id order"};
    configuration.voters.push_back(std::move(voter));
  }
  if (!r.ok() || !r.at_end() || configuration.cluster_id.is_none())
    return Error{"bootstrap entry: malformed payload"};
  return configuration;
}

void apply_configuration(const Entry& entry, Configuration& configuration) {
  if (entry.type == EntryType::bootstrap) {
    auto founded = decode_bootstrap(entry.payload().view());
    VESPER_ASSERT(founded.ok());  // decode_entry has checked it
    configuration = std::move(founded.value());
  } else if (entry.type == EntryType::registration) {
    const auto registration = decode_registration(entry.payload().view());
    VESPER_ASSERT(registration.ok());
    for (Voter& voter : configuration.voters)
      if (voter.id == registration->first && voter.incarnation.value == 0)
        voter.incarnation = registration->second;
  }
}

std::string encode_registration(ServerId id, Incarnation incarnation) {
  std::string out;
  ByteWriter w(out);
  w.u8(kRegistrationVersion);
  w.u32(id.value);
  w.u64(incarnation.value);
  return out;
}

Result<std::pair<ServerId, Incarnation>> decode_registration(std::string_view payload) {
  ByteReader r(payload);
  if (const std::uint8_t version = r.u8(); version != kRegistrationVersion)
    return Error{fmt::format("registration entry: version {} is unknown", version)};
  const ServerId id(r.u32());
  const Incarnation incarnation(r.u64());
  if (!r.ok() || !r.at_end() || incarnation.value == 0)
    return Error{"registration entry: malformed payload"};
  return std::pair{id, incarnation};
}

}  // namespace vesper::raft
