// One client's connection: requests in, answers out, in order, bounded on both sides. What a
// request means is api/'s business.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "api/dispatch.hpp"
#include "http/parser.hpp"
#include "io/stream.hpp"
#include "node/ports.hpp"

namespace vesper::server {

class ClientListener;

class Connection {
 public:
  // `over_limit`: it was taken although there are too many, since it may be a peer's; anybody else
  // is told so and let go.
  Connection(std::uint64_t id, ClientListener& listener, std::unique_ptr<io::Stream> stream,
             bool over_limit);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t id() const { return id_; }

  void on_reply(std::uint64_t request, node::Reply reply);
  // Writes the answers whose turn has come and goes on reading where that had to wait. Once per
  // turn of the loop, and only when marked.
  void flush();
  // Applies the timeouts. Once a second.
  void sweep();
  // Closes at once where nothing is under way; else behind the last answer.
  void begin_shutdown();
  bool settled() const { return exchanges_.empty() && stream_->queued() == 0; }
  bool gone() const { return gone_; }

 private:
  friend class ClientListener;

  // What becomes of bytes that arrive.
  enum class Input : std::uint8_t {
    parsed,
    dropped,  // behind the last request that is answered
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

  void on_bytes(std::string_view bytes);
  void on_ended();
  void on_failed(int code);
  void on_drained();

  void feed(std::string_view bytes);
  bool may_begin_request() const;
  void resume();
  void on_head(std::string_view rest);
  void on_body(std::string_view part);
  void on_message_end();
  void on_parse_error(const http::ParseError& error);
  bool upgrade(std::string_view rest);

  api::HttpExchange* find(std::uint64_t sequence);
  void refuse_reading(
      api::Problem problem);  // the message under way, and end the connection behind it
  void answer_ready();
  void write_answer(api::HttpExchange& exchange);
  void finish();
  void drop_reading();
  void close();
  void check_output(Instant now);
  void check_input(Instant now);
  void report_output();

  const std::uint64_t id_;
  ClientListener& listener_;
  std::unique_ptr<io::Stream> stream_;
  http::Parser parser_;
  const bool over_limit_;

  Input input_ = Input::parsed;
  bool paused_ = false;     // backlog_ waits until there is room for more requests
  bool finishing_ = false;  // our half has ended, or will when the output is out
  bool gone_ = false;
  bool marked_ = false;  // the listener will call flush()
  bool wrote_ = false;   // some request was answered on this connection
  std::string backlog_;
  Reading reading_;

  std::deque<api::HttpExchange> exchanges_;  // in order; answered from the front
  std::uint64_t next_sequence_ = 0;
  std::size_t posted_bytes_ = 0;  // bodies handed to the node and not answered

  Instant last_input_;
  // Refusing costs as much as serving: who is told to come back later and does not wait is not read
  // until then, or refusals leave no time for anything else.
  Instant held_until_;
  Instant message_began_;  // first byte of the head under way, or the accept
  Instant finished_at_;
  Instant output_moved_at_;
  std::uint64_t output_taken_ = 0;  // by the kernel, when last looked at
  std::size_t reported_output_ = 0;
  std::size_t dropped_bytes_ = 0;
};

}  // namespace vesper::server
