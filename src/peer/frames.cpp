#include "peer/frames.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"
#include "base/checksum.hpp"

namespace vesper::peer {
namespace {

constexpr std::uint8_t kFirst = 1;
constexpr std::uint8_t kLast = 2;

std::string number_bytes(std::uint64_t number) {
  std::string bytes;
  ByteWriter(bytes).u64(number);
  return bytes;
}

}  // namespace

FrameTagger::FrameTagger(const FrameSecret& secret) : seed_(secret.seed) {
  if (secret.keyed) hmac_ = std::make_unique<crypto::Hmac>(crypto::view_of(secret.key));
}

void FrameTagger::tag(std::uint64_t number, std::string_view header, std::string_view body,
                      char* out) {
  const std::string counted = number_bytes(number);
  if (hmac_ != nullptr) {
    const crypto::Digest digest = hmac_->of({counted, header, body});
    std::memcpy(out, digest.data(), kFrameTag);
    return;
  }
  const std::uint64_t seed = checksum64(header, checksum64(counted, seed_));
  const Id128 sum = checksum128(body, seed);
  std::string bytes;
  ByteWriter writer(bytes);
  writer.u64(sum.low);
  writer.u64(sum.high);
  std::memcpy(out, bytes.data(), kFrameTag);
}

std::size_t FrameWriter::begin(std::string& out) {
  const std::size_t begun = out.size();
  out.append(kFrameOverhead, '\0');
  return begun;
}

void FrameWriter::seal(char* frame, std::string_view body, FrameType type, std::uint8_t flags) {
  std::string header;
  ByteWriter writer(header);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u8(flags);
  writer.u16(0);
  std::memcpy(frame, header.data(), kFrameHeader);
  tagger_.tag(number_++, header, body, frame + kFrameHeader);
}

void FrameWriter::end(std::string& out, std::size_t begun, FrameType type) {
  const std::size_t size = out.size() - begun - kFrameOverhead;
  if (size <= kMaxFrameBody) {
    char* frame = out.data() + begun;
    seal(frame, {frame + kFrameOverhead, size}, type, kFirst | kLast);
    return;
  }
  const std::string message = out.substr(begun + kFrameOverhead);
  out.resize(begun);
  for (std::size_t at = 0; at < size; at += kMaxFrameBody) {
    const std::string_view body = std::string_view(message).substr(at, kMaxFrameBody);
    const auto flags =
        static_cast<std::uint8_t>((at == 0 ? kFirst : 0) | (at + body.size() == size ? kLast : 0));
    const std::size_t frame = out.size();
    out.append(kFrameOverhead, '\0');
    out.append(body);
    seal(out.data() + frame, body, type, flags);
  }
}

Result<bool> FrameReader::take_frame(std::string_view& input, std::string_view& frame) {
  if (consumed_) {
    consumed_ = false;
    partial_.clear();
    if (partial_.capacity() > kMaxFrameBody) partial_ = std::string();
  }
  const auto fill_to = [&](std::size_t size) {
    const std::size_t wanted = size - std::min(size, partial_.size());
    partial_.append(input.substr(0, wanted));
    input.remove_prefix(std::min(wanted, input.size()));
    return partial_.size() >= size;
  };
  // Usually the whole frame is in `input` and is not copied.
  const bool in_place = partial_.empty() && input.size() >= kFrameOverhead;
  if (!in_place && !fill_to(kFrameOverhead)) return false;
  const std::uint32_t length = ByteReader(in_place ? input : std::string_view(partial_)).u32();
  if (length > kMaxFrameBody)
    return Error{fmt::format("a frame has {} bytes, expected at most {}", length, kMaxFrameBody)};
  const std::size_t size = kFrameOverhead + length;
  if (in_place && input.size() >= size) {
    frame = input.substr(0, size);
    input.remove_prefix(size);
    return true;
  }
  if (!fill_to(size)) return false;
  frame = partial_;
  consumed_ = true;
  return true;
}

Result<bool> FrameReader::next(std::string_view& input, FrameType& type,
                               std::string_view& message) {
  if (!assembling_) assembled_ = std::string();
  while (true) {
    std::string_view frame;
    const auto taken = take_frame(input, frame);
    if (!taken || !*taken) return taken;
    char expected[kFrameTag];
    const std::string_view body = frame.substr(kFrameOverhead);
    tagger_.tag(number_++, frame.substr(0, kFrameHeader), body, expected);
    if (!crypto::equal_in_constant_time({expected, kFrameTag},
                                        frame.substr(kFrameHeader, kFrameTag)))
      return Error{fmt::format("frame {} has a wrong tag", number_ - 1)};
    ByteReader header(frame.substr(4, 4));
    const std::uint8_t raw_type = header.u8();
    const std::uint8_t flags = header.u8();
    if (raw_type != static_cast<std::uint8_t>(FrameType::proof) &&
        raw_type != static_cast<std::uint8_t>(FrameType::message))
      return Error{fmt::format("a frame has the unknown type {}", raw_type)};
    if (flags > (kFirst | kLast) || header.u16() != 0)
      return Error{fmt::format("a frame has the unknown flags {}", flags)};
    const auto frame_type = static_cast<FrameType>(raw_type);
    const bool first = (flags & kFirst) != 0;
    if (first == assembling_ || (assembling_ && frame_type != assembling_type_))
      return Error{"fragments out of order"};
    type = frame_type;
    if (flags == (kFirst | kLast)) {
      message = body;
      return true;
    }
    if (assembled_.size() + body.size() > kMaxMessage)
      return Error{fmt::format("a message has more than {} bytes", kMaxMessage)};
    assembled_.append(body);
    assembling_type_ = frame_type;
    assembling_ = (flags & kLast) == 0;
    if (assembling_) continue;
    message = assembled_;
    return true;
  }
}

}  // namespace vesper::peer
