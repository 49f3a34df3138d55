// A connection that this server dials to a peer and that carries this server's frames. It resolves
// the name, connects, performs the handshake, and redials when the connection ends. handshake.hpp
// decides which peers may connect; peers.hpp reacts when a link goes up or down.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_port.hpp"
#include "http/parser.hpp"
#include "io/address.hpp"
#include "io/stream.hpp"
#include "io/timer.hpp"
#include "node/ports.hpp"
#include "peer/handshake.hpp"
#include "peer/link_events.hpp"

namespace vesper::peer {

class OutLink {
 public:
  // The member that is expected at an address, or at the other one if that fails.
  struct Target {
    raft::ServerId number;
    std::string name;  // in log lines
    HostPort address;
    std::optional<HostPort> other;
    // The list is what the operator of this machine can edit: its address wins for finding the
    // member. If the member is not there, it may have moved since (`vesper cluster update`). With
    // https:// in the list it is not sought at an http:// address: whoever prevents a handshake
    // would get a connection in clear text. Nor is it sought at this server's own address.
    void prefer(const HostPort& listed, const HostPort& own);
    bool has_addresses_of(const Target& that) const {
      return address == that.address && other == that.other;
    }
  };

  OutLink(const LinkContext& context, Target target, Channel channel);
  ~OutLink();
  OutLink(const OutLink&) = delete;
  OutLink& operator=(const OutLink&) = delete;

  // Dials now, unless the link is up or being dialled.
  void dial();
  bool up() const { return state_ == State::up; }
  raft::ServerId to() const { return target_.number; }
  const HostPort& address() const { return target_.address; }  // that it uses now
  Channel channel() const { return channel_; }
  const Hello& ours() const { return ours_; }      // requires up()
  const Hello& theirs() const { return theirs_; }  // requires up()
  // Ends the link, which must be up, and dials again.
  void redial(std::string why) { end(std::move(why)); }

  // Queues a message until flush(). Returns false if the message was dropped because the link is
  // not up or its queue is full.
  bool send(const node::PeerMessage& message);
  // True if the link is up and little is queued.
  bool has_room() const;
  void flush();
  std::uint64_t bytes_out() const;
  // Closes for good, because the process is about to exit.
  void close();

 private:
  enum class State : std::uint8_t { waiting, resolving, connecting, greeting, up, closed };

  void resolve();
  void take_other_address();
  bool try_other_address();
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
  void report_output();
  void greet();
  void on_answer();
  void answered_by_other(const Agreement& agreement, const node::AcceptorVerdict& verdict);
  void send_proof(const Agreement& agreement);
  void on_refusal_head();
  void on_refusal();
  void accepted();
  void refused(std::string detail);
  // Ends the connection attempt or the link, and redials later. Logs `why` unless it was the last
  // reason logged.
  void end(std::string why);
  void wait();
  void drop_stream();

  const LinkContext& context_;
  Target target_;
  const Channel channel_;
  State state_ = State::waiting;
  io::Lookup lookup_;
  io::Timer timer_;  // the next dial, a deadline of the dial, or the check for stuck output
  std::vector<io::Address> addresses_;  // from the last successful lookup
  std::vector<io::Address> addresses_of_other_;
  std::size_t next_address_ = 0;
  std::unique_ptr<io::Stream> stream_;
  std::unique_ptr<http::Parser> parser_;  // while greeting
  std::string refusal_;                   // body of a refusal; bounded
  int refusal_status_ = 0;                // 0: no refusal is being read
  Hello ours_, theirs_;
  std::unique_ptr<FrameWriter> writer_;  // while up
  Instant up_since_;
  unsigned failures_ = 0;
  bool stuck_watch_ = false;       // the timer checks whether the peer acknowledges bytes ...
  std::uint64_t stuck_bytes_ = 0;  // ... beyond this count
  bool marked_ = false;
  bool tried_other_ = false;        // in this dial
  bool refused_everywhere_ = true;  // no process listened at any address of this dial
  std::string last_logged_;
  std::string last_logged_of_other_;
  std::uint64_t bytes_before_ = 0;  // from streams that have ended
};

}  // namespace vesper::peer
