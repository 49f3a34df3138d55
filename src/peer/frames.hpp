// Frames between peers, in one direction of one connection: splits messages into frames, tags them,
// verifies the tags and reassembles the messages (docs/peer-protocol.md). Handles bytes only.
// node/codec.hpp encodes the messages; in_link.hpp and out_link.hpp own the sockets.
//
//   u32 length of the body, at most 256 KiB   u8 type   u8 flags   u16 reserved = 0
//   16 bytes tag   body
//
// The tag covers the frame's number on its connection, the eight header bytes and the body. With a
// key, it is the first half of HMAC-SHA256 under a key derived for this connection. Without a key,
// it is XXH3-128 seeded from the connection's nonces. A frame is therefore rejected if a bit was
// flipped, or if it was moved, repeated or taken from another connection.
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
inline constexpr std::size_t kMaxMessage = 18u << 20;  // of all fragments of one message together

enum class FrameType : std::uint8_t {
  proof = 1,    // the dialler's first frame; its body is empty
  message = 2,  // its body is encoded by node/codec.hpp
};

// The secret that tags are made with. Both ends of a connection derive the same one.
struct FrameSecret {
  bool keyed = false;
  crypto::Digest key{};    // if keyed
  std::uint64_t seed = 0;  // if not keyed
};

class FrameTagger {
 public:
  explicit FrameTagger(const FrameSecret& secret);
  // Writes kFrameTag bytes to `out`.
  void tag(std::uint64_t number, std::string_view header, std::string_view body, char* out);

 private:
  std::unique_ptr<crypto::Hmac> hmac_;  // null if not keyed
  std::uint64_t seed_;
};

class FrameWriter {
 public:
  explicit FrameWriter(const FrameSecret& secret) : tagger_(secret) {}

  // Call begin(), append the message to `out`, then call end(). `begun` is the result of begin().
  // The message stays in place unless it must be split into several frames.
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

  // Consumes `input` up to the end of the next message. Returns true if `type` and `message` were
  // set; they are valid until the next call. Returns false if `input` was used up without
  // completing a message. An error is final. Memory grows with the bytes that arrive, never with
  // the length that a frame claims.
  Result<bool> next(std::string_view& input, FrameType& type, std::string_view& message);

 private:
  // Takes one complete frame from the front of `input`. Returns false if it is not complete yet.
  Result<bool> take_frame(std::string_view& input, std::string_view& frame);

  FrameTagger tagger_;
  std::uint64_t number_ = 0;
  std::string partial_;    // of an incomplete frame
  bool consumed_ = false;  // partial_ holds a frame that was already returned
  std::string assembled_;
  bool assembling_ = false;
  FrameType assembling_type_ = FrameType::message;
};

}  // namespace vesper::peer
