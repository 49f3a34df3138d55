// libFuzzer target for what comes from peers: the bytes as a message, as frames, and as a message
// that travels in frames. Nothing may crash, and what is accepted means the same when it is sent
// on.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "node/codec.hpp"
#include "peer/frames.hpp"

using namespace vesper;

namespace {

void read_message(std::string_view bytes) {
  const auto message = node::decode(bytes);
  if (!message) return;
  std::string sent;
  node::encode(*message, sent);
  VESPER_ASSERT(sent.size() == bytes.size());
  const auto received = node::decode(sent);
  VESPER_ASSERT(received.ok());
  std::string again;
  node::encode(*received, again);
  VESPER_ASSERT(again == sent);
}

void read_frames(std::string_view bytes) {
  peer::FrameReader reader(peer::FrameSecret{});
  std::string_view rest = bytes;
  peer::FrameType type{};
  std::string_view message;
  while (true) {
    const auto taken = reader.next(rest, type, message);
    if (!taken || !*taken) return;
    read_message(message);
  }
}

void travel(std::string_view bytes, std::size_t split) {
  peer::FrameWriter writer(peer::FrameSecret{});
  std::string out;
  const std::size_t begun = writer.begin(out);
  out += bytes;
  writer.end(out, begun, peer::FrameType::message);
  peer::FrameReader reader(peer::FrameSecret{});
  peer::FrameType type{};
  std::string_view message;
  std::string_view first = std::string_view(out).substr(0, split % (out.size() + 1));
  std::string_view second = std::string_view(out).substr(first.size());
  for (std::string_view part : {first, second}) {
    const auto taken = reader.next(part, type, message);
    VESPER_ASSERT(taken.ok());
    if (!*taken) continue;
    VESPER_ASSERT(message == bytes);
    return;
  }
  VESPER_UNREACHABLE();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_message(bytes);
  read_frames(bytes);
  if (size != 0) travel(bytes, data[0] * std::size_t{7});
  return 0;
}
