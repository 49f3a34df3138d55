// The bytes of a token, little-endian, in base64url without padding (RFC 4648 §5):
//
//   u8 version = 1   u64 revision   u64 count   u64 parameters   resume   u64 checksum
//
// The checksum covers the bytes before it and the id of the cluster.
#include "api/page_token.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/checksum.hpp"
#include "json/text.hpp"
#include "kv/item.hpp"

namespace vesper::api {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kSeed = 0x70a6e7d04b5c1e29;
constexpr std::size_t kChecksumBytes = 8;

std::uint64_t checksum_of(std::string_view content, Id128 cluster) {
  std::string id;
  ByteWriter writer(id);
  writer.u64(cluster.high);
  writer.u64(cluster.low);
  Checksum64 checksum(kSeed);
  checksum.add(id);
  checksum.add(content);
  return checksum.digest();
}

std::string encode_base64url(std::string_view bytes) {
  std::string text;
  json::append_base64(text, bytes);
  text.erase(std::min(text.find('='), text.size()));
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

std::optional<std::string> decode_base64url(std::string_view text) {
  if (text.find_first_of("+/=") != std::string_view::npos) return std::nullopt;
  std::string standard(text);
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  standard.append((4 - standard.size() % 4) % 4, '=');
  return json::decode_base64(standard);
}

Error not_a_token() {
  return Error{"it was changed, or is a token of another cluster or version"};
}

}  // namespace

std::string encode_page_token(const PageToken& token, const PageScope& scope) {
  std::string bytes;
  ByteWriter writer(bytes);
  writer.u8(kVersion);
  writer.u64(token.revision);
  writer.u64(token.count);
  writer.u64(scope.parameters);
  writer.bytes(token.resume);
  writer.u64(checksum_of(bytes, scope.cluster));
  return encode_base64url(bytes);
}

Result<PageToken> decode_page_token(std::string_view text, const PageScope& scope) {
  const auto bytes = decode_base64url(text);
  if (!bytes || bytes->size() < kChecksumBytes) return not_a_token();
  const std::string_view content =
      std::string_view(*bytes).substr(0, bytes->size() - kChecksumBytes);
  ByteReader checksum(std::string_view(*bytes).substr(content.size()));
  if (checksum.u64() != checksum_of(content, scope.cluster)) return not_a_token();
  ByteReader reader(content);
  PageToken token;
  if (reader.u8() != kVersion) return not_a_token();
  token.revision = reader.u64();
  token.count = reader.u64();
  const std::uint64_t parameters = reader.u64();
  token.resume = reader.bytes(reader.remaining());
  if (!reader.ok() || token.revision == 0 || token.resume.empty() ||
      token.resume.size() > kv::kMaxKey + 1)
    return not_a_token();
  if (parameters != scope.parameters) return Error{"it belongs to a request with other parameters"};
  return token;
}

}  // namespace vesper::api
