// Frames between peers, one way on one connection: cutting messages into frames, tagging them,
// checking them and putting them together again (docs/peer-protocol.md). Bytes only: no sockets, no
// meaning of messages.
//
//   u32 length of the body, at most 256 KiB   u8 type   u8 flags   u16 reserved = 0
//   16 bytes tag   body
//
// The tag covers the number of the frame on its connection, the eight bytes before it and the body:
// with a key the first half of HMAC-SHA256 under the connection's own key, without one XXH3-128
// seeded by the connection's nonces. So neither a flipped bit nor a frame that was moved, repeated
// or taken from another connection passes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "crypto/hmac.hpp"

namespace vesper::peer {

inline constexpr std::size_t kFrameHeader = 8;
inline constexpr std::size_t kFrameTag = 16;
inline constexpr std::size_t kFrameOverhead = kFrameHeader + kFrameTag;
inline constexpr std::size_t kMaxFrameBody = 256u << 10;
inline constexpr std::size_t kMaxMessage = 18u << 20;  // of all fragments together

enum class FrameType : std::uint8_t {
  proof = 1,    // the dialler's first frame, with an empty body
  message = 2,  // node/codec.hpp
};

// What tags are made with; both ends of a connection derive the same.
struct FrameSecret {
  bool keyed = false;
  crypto::Digest key{};    // keyed
  std::uint64_t seed = 0;  // not keyed
};

class FrameTagger {
 public:
  explicit FrameTagger(const FrameSecret& secret);
  // Writes kFrameTag bytes.
  void tag(std::uint64_t number, std::string_view header, std::string_view body, char* out);

 private:
  std::unique_ptr<crypto::Hmac> hmac_;  // keyed only
  std::uint64_t seed_;
};

class FrameWriter {
 public:
  explicit FrameWriter(const FrameSecret& secret) : tagger_(secret) {}

  // Between the two calls the caller appends the message to `out`, where it stays unless it has to
  // be cut into several frames. begin() returns what end() wants to have.
  std::size_t begin(std::string& out);
  void end(std::string& out, std::size_t begun, FrameType type);

 private:
  void seal(char* frame, std::string_view body, FrameType type, std::uint8_t flags);

  FrameTagger tagger_;
  std::uint64_t number_ = 0;  // of the next frame
};

class FrameReader {
 public:
  explicit FrameReader(const FrameSecret& secret) : tagger_(secret) {}

  // Takes bytes from the front of `input` up to the end of the next message. True: `type` and
  // `message` are set, good until the next call. False: `input` is used up. An error is final. A
  // frame's memory grows with the bytes that arrive, never with what a length claims.
  Result<bool> next(std::string_view& input, FrameType& type, std::string_view& message);

 private:
  // A whole frame at the front of `input`, or nothing.
  Result<bool> take_frame(std::string_view& input, std::string_view& frame);

  FrameTagger tagger_;
  std::uint64_t number_ = 0;
  std::string partial_;    // of a frame that has not arrived as a whole
  bool consumed_ = false;  // partial_ holds a frame that was handed out
  std::string assembled_;
  bool assembling_ = false;
  FrameType assembling_type_ = FrameType::message;
};

}  // namespace vesper::peer
