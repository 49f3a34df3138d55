// A connection that a peer dialled, and that carries its frames. It reads and checks them; what it
// writes is the answer to the handshake.
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
  // The handshake has passed, as far as words go; 101 has been written to the stream.
  InLink(const LinkContext& context, std::unique_ptr<io::Stream> stream, Hello ours, Hello theirs,
         const FrameSecret& secret);
  // The handshake was refused; the answer has been written.
  InLink(const LinkContext& context, std::unique_ptr<io::Stream> stream);
  InLink(const InLink&) = delete;
  InLink& operator=(const InLink&) = delete;

  void take(std::string_view bytes) { on_bytes(bytes); }
  void flush() { stream_->flush(); }
  // While paused, what the peer sends waits in the kernel.
  void pause() { stream_->read_stop(); }
  void resume() { stream_->read_start(); }

  bool proven() const { return proven_; }
  bool is_bulk() const { return theirs_.channel == Channel::bulk; }
  const Hello& theirs() const { return theirs_; }
  std::uint64_t bytes_in() const { return stream_->bytes_in(); }
  void close();
  // Closes and reports nothing: the process ends.
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
  io::Timer timer_;  // of the proof, or of a refused peer that does not go
  const bool refused_;
  bool proven_ = false;
  bool gone_ = false;
  Hello ours_, theirs_;
  std::unique_ptr<FrameReader> reader_;
};

}  // namespace vesper::peer
