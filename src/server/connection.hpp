// One client's connection: requests in, answers out, in order, bounded on both sides. An answer is
// whole, or a stream that is pulled while the client takes it; what was pipelined behind a stream
// waits for its end. What a request means is decided in api/.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "api/body_stream.hpp"
#include "api/dispatch.hpp"
#include "http/parser.hpp"
#include "io/stream.hpp"
#include "node/ports.hpp"
#include "server/connection_events.hpp"

namespace vesper::server {

class Connection {
 public:
  // Above the limit of connections a peer is still taken, but a client gets one answer that says
  // so.
  enum class Limit : std::uint8_t { kept, exceeded };
  Connection(std::uint64_t id, const ConnectionContext& context, std::unique_ptr<io::Stream> stream,
             Limit limit);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t id() const { return id_; }

  void on_reply(std::uint64_t request, node::ClientReply reply);
  // The stream that answers this request has more, or has ended.
  void resume_body(std::uint64_t request);
  // Asks for a flush() at the end of the turn.
  void mark();
  // Writes the answers whose turn has come, and reads on if that had to wait. Once per turn of the
  // loop, and only when marked.
  void flush();
  // Applies the timeouts. Once a second.
  void sweep();
  // Closes at once if nothing is under way, else after the last answer. Streams are cut.
  void begin_shutdown();
  bool settled() const { return exchanges_.empty() && stream_->queued() == 0; }
  bool gone() const { return gone_; }
  // Of its client; 0 once the connection was handed over to the peers.
  std::uint64_t bytes_in() const { return stream_ == nullptr ? 0 : stream_->bytes_in(); }
  std::uint64_t bytes_out() const { return stream_ == nullptr ? 0 : stream_->bytes_out(); }

 private:
  // What becomes of bytes that arrive.
  enum class Input : std::uint8_t {
    parsed,
    dropped,  // after the last request that is answered
    ended,    // the client sends no more
  };
  // The message that the parser is in.
  struct Reading {
    bool active = false;
    bool dropping = false;  // its answer is known; the body means nothing
    bool wants_continue = false;
    std::uint64_t sequence = 0;
    std::size_t limit = 0;
    std::size_t size = 0;
    std::string body;
  };

  api::Context& api() const { return context_.api; }
  void on_bytes(std::string_view bytes);
  void on_ended();
  void on_failed(int code);
  void on_drained();

  void feed(std::string_view bytes);
  bool may_begin_request() const;
  void resume_reading();
  void on_head(std::string_view rest);
  void on_body(std::string_view part);
  void on_message_end();
  void on_parse_error(const http::ParseError& error);
  bool upgrade(std::string_view rest);

  api::HttpExchange* find(std::uint64_t sequence);
  // The message under way, and ends the connection after the answer.
  void refuse_reading(api::Problem problem);
  void answer_ready();
  void write_answer(api::HttpExchange& exchange);
  // Asks the stream for as much as the window has room for. False: it has not ended, or broke.
  bool pump_body();
  void append_piece(std::string_view piece);
  void end_body();
  void break_body();
  void pop_answered();
  void finish();
  void drop_reading();
  void close();
  void check_output(Instant now);
  void check_input(Instant now);
  void report_output();

  const std::uint64_t id_;
  const ConnectionContext& context_;
  std::unique_ptr<io::Stream> stream_;
  http::Parser parser_;
  const Limit limit_;

  Input input_ = Input::parsed;
  bool paused_ = false;     // backlog_ waits until there is room for more requests
  bool finishing_ = false;  // our half has ended, or will when the output is out
  bool gone_ = false;
  bool marked_ = false;  // flush() is due
  bool wrote_ = false;   // some request was answered on this connection
  std::string backlog_;
  Reading reading_;

  std::deque<api::HttpExchange> exchanges_;  // in order; answered from the front
  std::uint64_t next_sequence_ = 0;
  std::unique_ptr<api::BodyStream> body_;  // of the answer at the front, while it is written
  bool body_waits_ = false;                // until resume_body()
  std::size_t posted_bytes_ = 0;           // bodies handed to the node and not answered

  Instant last_input_;
  // Refusing costs as much as serving: a client that was told to come back later is not read until
  // then, or refusals would leave no time for anything else.
  Instant held_until_;
  Instant message_began_;  // first byte of the head under way, or the accept
  Instant finished_at_;
  Instant output_moved_at_;
  std::uint64_t output_taken_ = 0;  // by the kernel, when last looked at
  std::size_t reported_output_ = 0;
  std::size_t dropped_bytes_ = 0;
};

}  // namespace vesper::server
