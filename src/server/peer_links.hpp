// The connections between this node and its peers: OutLink is dialled here and carries our frames,
// InLink was dialled by a peer and carries its. Who may speak is decided in peer_handshake, what
// follows from links coming and going in peers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/parser.hpp"
#include "io/address.hpp"
#include "io/stream.hpp"
#include "io/timer.hpp"
#include "node/ports.hpp"
#include "server/peer_handshake.hpp"

namespace vesper::server {

class Peers;

class OutLink {
 public:
  OutLink(Peers& peers, raft::ServerId to, Channel channel);
  ~OutLink();
  OutLink(const OutLink&) = delete;
  OutLink& operator=(const OutLink&) = delete;

  // At once, where it is not up and not being dialled.
  void dial();
  bool up() const { return state_ == State::up; }
  raft::ServerId to() const { return to_; }
  Channel channel() const { return channel_; }
  const Hello& theirs() const { return theirs_; }  // requires up()

  // Gathers until flush(). False: dropped, since the link is not up or its queue is full.
  bool send(const node::PeerMessage& message);
  void flush();
  std::uint64_t bytes_out() const;
  // For good: the process ends.
  void close();

 private:
  friend class Peers;
  enum class State : std::uint8_t { waiting, resolving, connecting, greeting, up, closed };

  void on_resolved(Result<std::vector<io::Address>> addresses);
  void not_resolved(std::string why);
  void connect_next();
  void on_connected(int code);
  void on_bytes(std::string_view bytes);
  void on_ended();
  void on_failed(int code);
  void on_drained();
  void watch_progress();
  void on_timer();
  void greet();
  void on_answer();
  void send_proof(const Agreement& agreement);
  void on_refusal_head();
  void on_refusal();
  void accepted();
  void refused(std::string detail);
  // Why it ended goes to the log once.
  void end(std::string why);
  void wait();
  void drop_stream();

  Peers& peers_;
  const raft::ServerId to_;
  const Channel channel_;
  State state_ = State::waiting;
  io::Lookup lookup_;
  io::Timer timer_;                     // the next dial, a deadline of the dial, or of stuck output
  std::vector<io::Address> addresses_;  // of the last answer
  std::size_t next_address_ = 0;
  std::unique_ptr<io::Stream> stream_;
  std::unique_ptr<http::Parser> parser_;  // while greeting
  std::string refusal_;                   // body of a refusal, bounded
  int refusal_status_ = 0;                // 0: none under way
  Hello ours_, theirs_;
  std::unique_ptr<FrameWriter> writer_;  // while up
  Instant up_since_;
  unsigned failures_ = 0;
  bool stuck_watch_ = false;       // the timer looks whether bytes are still taken ...
  std::uint64_t stuck_bytes_ = 0;  // ... beyond these
  bool marked_ = false;
  std::string last_logged_;
  std::uint64_t bytes_before_ = 0;  // of streams that have ended
};

class InLink {
 public:
  // The handshake has passed, as far as words go; 101 has been written to the stream.
  InLink(Peers& peers, std::unique_ptr<io::Stream> stream, Hello ours, Hello theirs,
         const FrameSecret& secret);
  // The handshake was refused; the answer has been written.
  InLink(Peers& peers, std::unique_ptr<io::Stream> stream);
  InLink(const InLink&) = delete;
  InLink& operator=(const InLink&) = delete;

  void take(std::string_view bytes) { on_bytes(bytes); }
  void flush() { stream_->flush(); }
  void pause(bool paused);

  bool proven() const { return proven_; }
  bool is_bulk() const { return theirs_.channel == Channel::bulk; }
  const Hello& theirs() const { return theirs_; }
  std::uint64_t bytes_in() const { return stream_->bytes_in(); }
  void close();

 private:
  friend class Peers;
  void listen_to_stream();
  void on_bytes(std::string_view bytes);
  void on_ended();
  void on_failed(int code);
  void on_timer();
  void end(std::string why);

  Peers& peers_;
  std::unique_ptr<io::Stream> stream_;
  io::Timer timer_;  // of the proof, or of a refused peer that does not go
  const bool refused_;
  bool proven_ = false;
  bool gone_ = false;
  Hello ours_, theirs_;
  std::unique_ptr<FrameReader> reader_;
};

}  // namespace vesper::server
