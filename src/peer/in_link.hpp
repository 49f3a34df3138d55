// A connection that a peer dialled and that carries the peer's frames. Reads and verifies them.
// Writes nothing after the answer to the handshake. out_link.hpp is the other direction.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io/stream.hpp"
#include "io/timer.hpp"
#include "node/ports.hpp"
#include "peer/handshake.hpp"
#include "peer/link_events.hpp"

namespace vesper::peer {

class InLink {
 public:
  // For a peer that is accepted as member `ours.to`, or must learn that it has left. The 101 answer
  // must already be in the stream's output.
  InLink(const LinkContext& context, std::unique_ptr<io::Stream> stream, Hello ours, Hello theirs,
         const FrameSecret& secret);
  // For a refused peer. The answer must already be written.
  InLink(const LinkContext& context, std::unique_ptr<io::Stream> stream);
  InLink(const InLink&) = delete;
  InLink& operator=(const InLink&) = delete;

  void take(std::string_view bytes) { on_bytes(bytes); }
  void flush() { stream_->flush(); }
  // While paused, the peer's bytes wait in the kernel.
  void pause() { stream_->read_stop(); }
  void resume() { stream_->read_start(); }

  bool proven() const { return proven_; }
  bool disproven() const { return disproven_; }  // it has sent a wrong proof of the peer key
  const io::Address& address() const { return stream_->peer(); }
  bool refused() const { return refused_; }  // it carries nothing but a refusal
  bool is_bulk() const { return theirs_.channel == Channel::bulk; }
  const Hello& ours() const { return ours_; }
  const Hello& theirs() const { return theirs_; }
  raft::ServerId from() const { return ours_.to; }  // as this server knows the peer
  std::uint64_t bytes_in() const { return stream_->bytes_in(); }
  void close();
  // Closes without reporting, because the process is about to exit.
  void abandon() { stream_->close(); }

 private:
  void listen_to_stream();
  void on_bytes(std::string_view bytes);
  void on_ended();
  void on_failed(int code);
  void on_timer();
  void end(std::string why);

  const LinkContext& context_;
  std::unique_ptr<io::Stream> stream_;
  io::Timer timer_;  // limits the wait for the proof, or for a refused peer to leave
  const bool refused_;
  bool proven_ = false;
  bool disproven_ = false;
  bool gone_ = false;
  Hello ours_, theirs_;
  std::unique_ptr<FrameReader> reader_;
};

}  // namespace vesper::peer
