// Frames between peers: what goes in comes out however it is split, and nothing else does.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/prng.hpp"
#include "peer/frames.hpp"

using namespace vesper;
using namespace vesper::peer;

namespace {

FrameSecret secret(bool keyed) {
  FrameSecret made;
  made.keyed = keyed;
  made.key.fill('k');
  made.seed = 42;
  return made;
}

std::string frames_of(FrameWriter& writer, const std::vector<std::string>& messages) {
  std::string out;
  for (const std::string& message : messages) {
    const std::size_t begun = writer.begin(out);
    out += message;
    writer.end(out, begun, FrameType::message);
  }
  return out;
}

struct Read {
  std::vector<std::string> messages;
  std::string error;
};

// Feeds `bytes` in pieces of at most `piece` bytes.
Read read(std::string_view bytes, const FrameSecret& shared, std::size_t piece) {
  FrameReader reader(shared);
  Read result;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (true) {
      FrameType type{};
      std::string_view message;
      const auto taken = reader.next(part, type, message);
      if (!taken) {
        result.error = taken.error().what;
        return result;
      }
      if (!*taken) break;
      result.messages.emplace_back(message);
    }
  }
  return result;
}

std::string text(std::size_t size, std::uint64_t seed) {
  Prng prng(seed);
  std::string made(size, '\0');
  for (char& c : made) c = static_cast<char>(prng.next());
  return made;
}

}  // namespace

TEST_CASE("messages come out as they went in, however the bytes are split") {
  const std::vector<std::string> messages = {"", "a", text(100, 1), text(5000, 2)};
  for (const bool keyed : {false, true}) {
    FrameWriter writer(secret(keyed));
    const std::string bytes = frames_of(writer, messages);
    for (const std::size_t piece : {1ul, 2ul, 7ul, 23ul, 24ul, 25ul, 1000ul, bytes.size()}) {
      const Read result = read(bytes, secret(keyed), piece);
      CHECK(result.error == "");
      CHECK(result.messages == messages);
    }
  }
}

TEST_CASE("a message above a frame's size is sent in fragments and reassembled") {
  const std::vector<std::string> messages = {text(kMaxFrameBody, 1), text(kMaxFrameBody + 1, 2),
                                             "small", text(3 * kMaxFrameBody + 17, 3)};
  FrameWriter writer(secret(false));
  const std::string bytes = frames_of(writer, messages);
  for (const std::size_t piece : {std::size_t{64} << 10, bytes.size()})
    CHECK(read(bytes, secret(false), piece).messages == messages);
}

TEST_CASE("a flipped bit anywhere is detected, with and without a key") {
  for (const bool keyed : {false, true}) {
    FrameWriter writer(secret(keyed));
    const std::string bytes = frames_of(writer, {"vote for me", "and for me"});
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      const Read result = read(damaged, secret(keyed), damaged.size());
      // A longer length only makes the reader wait for bytes that do not come.
      CHECK(result.messages.size() < 2);
      for (const std::string& message : result.messages) CHECK(message == "vote for me");
    }
  }
}

TEST_CASE("a frame that is repeated, omitted or moved is detected") {
  FrameWriter writer(secret(true));
  const std::string one = frames_of(writer, {"one"}), two = frames_of(writer, {"two"});
  CHECK(read(one + two, secret(true), 1000).error == "");
  CHECK(read(one + one, secret(true), 1000).error != "");
  CHECK(read(two, secret(true), 1000).error != "");
  CHECK(read(two + one, secret(true), 1000).messages.empty());
}

TEST_CASE("frames of another connection or another key are refused") {
  FrameSecret other = secret(true);
  other.key[0] = 'x';
  FrameSecret unkeyed = secret(false), foreign = secret(false);
  foreign.seed = 43;
  FrameWriter keyed_writer(secret(true)), writer(unkeyed);
  CHECK(read(frames_of(keyed_writer, {"m"}), other, 1000).error != "");
  CHECK(read(frames_of(writer, {"m"}), foreign, 1000).error != "");
}

TEST_CASE("a length above the limit is refused before its bytes arrive") {
  std::string header("\x01\x00\x04\x00\x02\x03\x00\x00", 8);  // 256 KiB and one byte
  header.append(kFrameTag, '\0');
  CHECK(read(header, secret(false), 1000).error.find("at most") != std::string::npos);
}
