#include "peer/handshake.hpp"

#include <fmt/core.h>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"

namespace vesper::peer {
namespace {

constexpr std::string_view kNone = "none";  // no cluster, number, start or key
constexpr std::string_view kWelcomeWord = "welcome";
constexpr std::string_view kLeftWord = "left";
constexpr std::uint64_t kMaxBoots = std::uint64_t{1} << 62;
constexpr std::string_view kKeyedWord = "hmac-sha256";

// Reads the fields one by one. The first one that is missing, repeated or malformed sets the error.
class HelloReader {
 public:
  explicit HelloReader(const http::Fields& fields) : fields_(fields) {}

  std::string_view text(std::string_view name) {
    if (wrong_) return {};
    const http::Field* field = fields_.find(name);
    if (field == nullptr || fields_.count(name) != 1) {
      fail(name, field == nullptr ? "is missing" : "appears more than once");
      return {};
    }
    return field->value;
  }
  std::uint32_t number(std::string_view name) { return parse_number(name, text(name)); }
  std::uint32_t parse_number(std::string_view name, std::string_view digits) {
    if (wrong_) return 0;
    const auto value = http::parse_decimal(digits);
    if (!value || *value > UINT32_MAX) fail(name, "is not a 32-bit number");
    return wrong_ ? 0 : static_cast<std::uint32_t>(*value);
  }
  // A number of a server, or `none`.
  std::uint32_t server(std::string_view name) {
    const std::string_view word = text(name);
    if (word == kNone) return raft::kNoServer.value;
    const std::uint32_t value = parse_number(name, word);
    if (value > raft::kMaxServerId) fail(name, "is above the highest number");
    return value;
  }
  std::string address(std::string_view name) {
    const std::string_view url = text(name);
    if (!parse_url(url)) fail(name, "is not http://host:port or https://host:port");
    return std::string(url);
  }
  std::uint64_t hex64(std::string_view name) {
    const auto value = parse_hex64(text(name));
    if (!value) fail(name, "is not 16 hex digits");
    return value.value_or(0);
  }
  Id128 hex128(std::string_view name) {
    const auto value = parse_hex128(text(name));
    if (!value) fail(name, "is not 32 hex digits");
    return value.value_or(Id128{});
  }
  std::uint64_t count(std::string_view name, std::uint64_t most) {
    const auto value = http::parse_decimal(text(name));
    if (!value || *value > most) fail(name, "is not a number in the allowed range");
    return wrong_ ? 0 : *value;
  }
  // "none", or incarnation, number and boot id, separated by spaces.
  SeenBoot boot_seen() {
    constexpr std::string_view kName = "Vesper-Boot-Seen";
    const std::string_view given = text(kName);
    if (wrong_ || given == kNone) return {};
    const std::size_t first = given.find(' ');
    const std::size_t last = given.rfind(' ');
    if (first == last) {
      fail(kName, "is not a start");
      return {};
    }
    const auto incarnation = parse_hex64(given.substr(0, first));
    const auto number = http::parse_decimal(given.substr(first + 1, last - first - 1));
    const auto boot = parse_hex64(given.substr(last + 1));
    if (!incarnation || *incarnation == 0 || !number || *number > kMaxBoots || !boot)
      fail(kName, "is not a start");
    if (wrong_) return {};
    return {raft::Incarnation(*incarnation), *number, raft::BootId(*boot)};
  }
  raft::PeerState state() {
    raft::PeerState state;
    if (fields_.count("Vesper-Cluster") != 1 || text("Vesper-Cluster") != kNone)
      state.cluster_id = hex128("Vesper-Cluster");
    state.term = raft::Term(count("Vesper-Term", raft::kMaxTerm.value));
    state.last_index = raft::Index(count("Vesper-Last-Index", raft::kMaxIndex.value));
    return state;
  }
  void fail(std::string_view name, std::string_view what) {
    if (!wrong_) wrong_ = Error{fmt::format("{} {}", name, what)};
  }
  const std::optional<Error>& wrong() const { return wrong_; }

 private:
  const http::Fields& fields_;
  std::optional<Error> wrong_;
};

// Appends all fields of a hello in an unambiguous encoding.
void append_transcript(std::string& out, const Hello& hello) {
  ByteWriter writer(out);
  writer.u32(hello.protocol_min);
  writer.u32(hello.protocol_max);
  writer.u32(hello.self.state.level);
  writer.u64(hello.self.state.cluster_id.high);
  writer.u64(hello.self.state.cluster_id.low);
  writer.u64(hello.self.state.term.value);
  writer.u64(hello.self.state.last_index.value);
  writer.u32(hello.self.number.value);
  writer.u32(hello.to.value);
  writer.u32(hello.self.node ? hello.self.node->value : raft::kNoServer.value);
  writer.string(hello.self.address);
  writer.u64(hello.self.incarnation.value);
  writer.u64(hello.boot.value);
  writer.u64(hello.boot_number);
  writer.u64(hello.boot_seen.incarnation.value);
  writer.u64(hello.boot_seen.number);
  writer.u64(hello.boot_seen.boot.value);
  writer.u64(hello.list_hash);
  writer.u8(static_cast<std::uint8_t>(hello.channel));
  writer.u8(static_cast<std::uint8_t>(hello.standing));
  writer.u8(hello.keyed ? 1 : 0);
  writer.u64(hello.nonce.high);
  writer.u64(hello.nonce.low);
}

std::string number_or_none(std::uint32_t number) {
  return number == raft::kNoServer.value ? std::string(kNone) : std::to_string(number);
}

}  // namespace

std::string name_of(const Hello& hello) {
  if (hello.self.node) return fmt::format("server {}", hello.self.node->value);
  return fmt::format("the server at {}", hello.self.address);
}

std::string_view to_string(Channel channel) {
  return channel == Channel::control ? "control" : "bulk";
}

void append_hello(std::string& out, const Hello& hello) {
  http::append_field(out, "Vesper-Protocol",
                     fmt::format("{}-{}", hello.protocol_min, hello.protocol_max));
  http::append_field(out, "Vesper-Features", hello.self.state.level);
  append_state(out, hello.self.state);
  http::append_field(out, "Vesper-From", number_or_none(hello.self.number.value));
  http::append_field(out, "Vesper-To", number_or_none(hello.to.value));
  http::append_field(out, "Vesper-Id",
                     hello.self.node ? number_or_none(hello.self.node->value) : kNone);
  http::append_field(out, "Vesper-Address", hello.self.address);
  http::append_field(out, "Vesper-Incarnation", to_hex(hello.self.incarnation.value));
  http::append_field(out, "Vesper-Boot", to_hex(hello.boot.value));
  http::append_field(out, "Vesper-Boot-Number", hello.boot_number);
  const SeenBoot& seen = hello.boot_seen;
  http::append_field(out, "Vesper-Boot-Seen",
                     seen.incarnation.value == 0
                         ? std::string(kNone)
                         : fmt::format("{} {} {}", to_hex(seen.incarnation.value), seen.number,
                                       to_hex(seen.boot.value)));
  http::append_field(out, "Vesper-List", to_hex(hello.list_hash));
  http::append_field(out, "Vesper-Channel", to_string(hello.channel));
  http::append_field(out, "Vesper-Standing",
                     hello.standing == Standing::left ? kLeftWord : kWelcomeWord);
  http::append_field(out, "Vesper-Auth", hello.keyed ? kKeyedWord : kNone);
  http::append_field(out, "Vesper-Nonce", to_hex(hello.nonce));
}

void append_state(std::string& out, const raft::PeerState& state) {
  http::append_field(out, "Vesper-Cluster",
                     state.cluster_id.is_none() ? kNone : to_hex(state.cluster_id));
  http::append_field(out, "Vesper-Term", state.term.value);
  http::append_field(out, "Vesper-Last-Index", state.last_index.value);
}

std::optional<raft::PeerState> read_state(const http::Fields& fields) {
  HelloReader reader(fields);
  const raft::PeerState state = reader.state();
  if (reader.wrong()) return std::nullopt;
  return state;
}

Result<Hello> read_hello(const http::Fields& fields) {
  HelloReader reader(fields);
  Hello hello;
  const std::string_view range = reader.text("Vesper-Protocol");
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) reader.fail("Vesper-Protocol", "is not a range");
  hello.protocol_min = reader.parse_number("Vesper-Protocol", range.substr(0, dash));
  hello.protocol_max = dash == std::string_view::npos
                           ? 0
                           : reader.parse_number("Vesper-Protocol", range.substr(dash + 1));
  hello.self.state = reader.state();
  hello.self.state.level =
      static_cast<std::uint32_t>(reader.count("Vesper-Features", raft::kMaxLevel));
  hello.self.number = raft::ServerId(reader.server("Vesper-From"));
  hello.to = raft::ServerId(reader.server("Vesper-To"));
  if (const std::uint32_t node = reader.server("Vesper-Id"); node != raft::kNoServer.value)
    hello.self.node = raft::NodeId(node);
  hello.self.address = reader.address("Vesper-Address");
  hello.self.incarnation = raft::Incarnation(reader.hex64("Vesper-Incarnation"));
  hello.boot = raft::BootId(reader.hex64("Vesper-Boot"));
  hello.boot_number = reader.count("Vesper-Boot-Number", kMaxBoots);
  hello.boot_seen = reader.boot_seen();
  hello.list_hash = reader.hex64("Vesper-List");
  const std::string_view channel = reader.text("Vesper-Channel");
  if (channel == to_string(Channel::bulk)) hello.channel = Channel::bulk;
  else if (channel != to_string(Channel::control))
    reader.fail("Vesper-Channel", "is neither control nor bulk");
  const std::string_view standing = reader.text("Vesper-Standing");
  if (standing == kLeftWord) hello.standing = Standing::left;
  else if (standing != kWelcomeWord) reader.fail("Vesper-Standing", "is neither welcome nor left");
  const std::string_view auth = reader.text("Vesper-Auth");
  hello.keyed = auth == kKeyedWord;
  if (!hello.keyed && auth != kNone) reader.fail("Vesper-Auth", "is not a known method");
  hello.nonce = reader.hex128("Vesper-Nonce");
  if (hello.self.incarnation.value == 0 || hello.boot.value == 0)
    reader.fail("Vesper-Incarnation or Vesper-Boot", "is zero");
  if (reader.wrong()) return *reader.wrong();
  return hello;
}

std::uint64_t hash_of(const std::vector<HostPort>& list) {
  Checksum64 sum;
  for (const HostPort& address : list) {
    sum.add(url_of(address));
    sum.add("\n");
  }
  return sum.digest();
}

std::optional<node::PeerRefusal> refuse_hello(const Hello& ours, const Hello& theirs) {
  const std::string from = name_of(theirs);
  if (theirs.protocol_min > ours.protocol_max || theirs.protocol_max < ours.protocol_min)
    return node::PeerRefusal{
        fmt::format("{} speaks versions {}-{} of the peer protocol, but this server {}-{}", from,
                    theirs.protocol_min, theirs.protocol_max, ours.protocol_min, ours.protocol_max),
        "run versions of vesper that share a protocol version"};
  if (theirs.keyed != ours.keyed)
    return node::PeerRefusal{
        fmt::format("{} runs {} a peer key, but this server {} one", from,
                    theirs.keyed ? "with" : "without", ours.keyed ? "with" : "without"),
        "give all servers the same --peer-key-file"};
  if (theirs.list_hash != ours.list_hash && theirs.self.state.cluster_id.is_none() &&
      ours.self.state.cluster_id.is_none())
    return node::PeerRefusal{fmt::format("{} has a different list of servers, and neither of the "
                                         "two servers knows a cluster yet",
                                         from),
                             "give all servers the same list"};
  return std::nullopt;
}

node::PeerRefusal refuse_second_process(const Hello& connected, const Hello& theirs) {
  const bool is_copy = connected.self.incarnation == theirs.self.incarnation;
  return {
      is_copy ? fmt::format("two processes run on copies of the data directory of {}: start {} "
                            "at {} is connected, and start {} at {} tries to connect",
                            name_of(theirs), connected.boot_number, connected.self.address,
                            theirs.boot_number, theirs.self.address)
              : fmt::format("another process calls itself {}: incarnation {} is connected, and "
                            "incarnation {} tries to connect",
                            name_of(theirs), to_hex(connected.self.incarnation.value),
                            to_hex(theirs.self.incarnation.value)),
      "stop one of the two; the connection of a machine that is down is dropped within seconds"};
}

Agreement agree(std::string_view key, const Hello& dialler, const Hello& acceptor) {
  std::string transcript;
  append_transcript(transcript, dialler);
  append_transcript(transcript, acceptor);
  Agreement agreement;
  if (key.empty()) {
    agreement.secret.seed = checksum64(transcript);
    return agreement;
  }
  crypto::Hmac hmac(key);
  agreement.acceptor_proof = hmac.of({"vesper-raft/1 acceptor\n", transcript});
  agreement.secret.keyed = true;
  agreement.secret.key = hmac.of({"vesper-raft/1 frames\n", transcript});
  return agreement;
}

}  // namespace vesper::peer
