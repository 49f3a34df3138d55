#include "peer/handshake.hpp"

#include <fmt/core.h>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "http/serializer.hpp"
#include "http/values.hpp"

namespace vesper::peer {
namespace {

constexpr std::string_view kNoCluster = "none";
constexpr const char* kCheckIds = "check the id and the list that each server was started with";
constexpr std::string_view kKeyedWord = "hmac-sha256";
constexpr std::string_view kUnkeyedWord = "none";

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
  raft::PeerState state() {
    raft::PeerState state;
    if (fields_.count("Vesper-Cluster") != 1 || text("Vesper-Cluster") != kNoCluster)
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
  writer.u32(hello.feature_level);
  writer.u64(hello.state.cluster_id.high);
  writer.u64(hello.state.cluster_id.low);
  writer.u64(hello.state.term.value);
  writer.u64(hello.state.last_index.value);
  writer.u32(hello.from.value);
  writer.u32(hello.to.value);
  writer.u64(hello.incarnation.value);
  writer.u64(hello.boot.value);
  writer.u64(hello.list_hash);
  writer.u8(static_cast<std::uint8_t>(hello.channel));
  writer.u8(hello.keyed ? 1 : 0);
  writer.u64(hello.nonce.high);
  writer.u64(hello.nonce.low);
}

}  // namespace

std::string_view to_string(Channel channel) {
  return channel == Channel::control ? "control" : "bulk";
}

void append_hello(std::string& out, const Hello& hello) {
  http::append_field(out, "Vesper-Protocol",
                     fmt::format("{}-{}", hello.protocol_min, hello.protocol_max));
  http::append_field(out, "Vesper-Features", hello.feature_level);
  append_state(out, hello.state);
  http::append_field(out, "Vesper-From", hello.from.value);
  http::append_field(out, "Vesper-To", hello.to.value);
  http::append_field(out, "Vesper-Incarnation", to_hex(hello.incarnation.value));
  http::append_field(out, "Vesper-Boot", to_hex(hello.boot.value));
  http::append_field(out, "Vesper-List", to_hex(hello.list_hash));
  http::append_field(out, "Vesper-Channel", to_string(hello.channel));
  http::append_field(out, "Vesper-Auth", hello.keyed ? kKeyedWord : kUnkeyedWord);
  http::append_field(out, "Vesper-Nonce", to_hex(hello.nonce));
}

void append_state(std::string& out, const raft::PeerState& state) {
  http::append_field(out, "Vesper-Cluster",
                     state.cluster_id.is_none() ? kNoCluster : to_hex(state.cluster_id));
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
  hello.feature_level = reader.number("Vesper-Features");
  hello.state = reader.state();
  hello.from = raft::ServerId(reader.number("Vesper-From"));
  hello.to = raft::ServerId(reader.number("Vesper-To"));
  hello.incarnation = raft::Incarnation(reader.hex64("Vesper-Incarnation"));
  hello.boot = raft::BootId(reader.hex64("Vesper-Boot"));
  hello.list_hash = reader.hex64("Vesper-List");
  const std::string_view channel = reader.text("Vesper-Channel");
  if (channel == to_string(Channel::bulk)) hello.channel = Channel::bulk;
  else if (channel != to_string(Channel::control))
    reader.fail("Vesper-Channel", "is neither control nor bulk");
  const std::string_view auth = reader.text("Vesper-Auth");
  hello.keyed = auth == kKeyedWord;
  if (!hello.keyed && auth != kUnkeyedWord) reader.fail("Vesper-Auth", "is not a known method");
  hello.nonce = reader.hex128("Vesper-Nonce");
  if (hello.from.value >= raft::kMaxServers || hello.to.value >= raft::kMaxServers)
    reader.fail("Vesper-From or Vesper-To", "is above the highest id");
  if (hello.incarnation.value == 0 || hello.boot.value == 0)
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

std::optional<node::PeerRefusal> refuse_hello(const Hello& ours, const Hello& theirs,
                                              const node::Node& node) {
  const std::uint32_t from = theirs.from.value;
  if (theirs.protocol_min > ours.protocol_max || theirs.protocol_max < ours.protocol_min)
    return node::PeerRefusal{
        fmt::format("server {} speaks versions {}-{} of the peer protocol, but this server {}-{}",
                    from, theirs.protocol_min, theirs.protocol_max, ours.protocol_min,
                    ours.protocol_max),
        "run versions of vesper that share a protocol version"};
  if (theirs.from == ours.from)
    return node::PeerRefusal{
        fmt::format("the peer calls itself server {}, but that is this server", from), kCheckIds};
  if (theirs.to != ours.from)
    return node::PeerRefusal{fmt::format("server {} expects server {} here, but this is server {}",
                                         from, theirs.to.value, ours.from.value),
                             kCheckIds};
  if (theirs.keyed != ours.keyed)
    return node::PeerRefusal{
        fmt::format("server {} runs {} a peer key, but this server {} one", from,
                    theirs.keyed ? "with" : "without", ours.keyed ? "with" : "without"),
        "give all servers the same --peer-key-file"};
  if (theirs.list_hash != ours.list_hash &&
      (theirs.state.cluster_id.is_none() || ours.state.cluster_id.is_none()))
    return node::PeerRefusal{fmt::format("server {} has a different list of servers, and the two "
                                         "servers do not share a cluster yet",
                                         from),
                             "give all servers the same list"};
  return node.refuse_peer(theirs.from, theirs.incarnation, theirs.state.cluster_id);
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
