// One client connection: requests in, answers out, in order, with limits on both sides. An answer
// is either complete or a stream that is pulled while it is sent. Requests pipelined after a
// streamed answer wait for its end. The api library interprets the requests.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
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
  // Above the connection limit, a connection is still accepted because it may be a peer's. A client
  // on it gets one answer that reports the overload.
  enum class Limit : std::uint8_t { kept, exceeded };
  Connection(std::uint64_t id, const ConnectionContext& context, std::unique_ptr<io::Stream> stream,
             Limit limit);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t id() const { return id_; }

  void on_reply(const node::Ticket& ticket, node::ClientReply&& reply);
  // The answer to a request that was put to someone other than the node.
  void on_outcome(const node::Ticket& ticket, api::Outcome outcome);
  // The stream that answers this request has more bytes, or has ended.
  void resume_body(std::uint64_t request);
  // The same for the stream that is being sent, whatever it answers.
  void resume_body();
  // Requests a flush() at the end of the turn.
  void mark();
  // Writes the answers that are due, and resumes reading if it was paused. Called once per turn,
  // and only if marked.
  void flush();
  // Applies the timeouts. Called once a second.
  void sweep();
  // Ends what waits, or is being answered, for a client that is not known any more.
  void review_client();
  // Closes now if nothing is in progress, otherwise after the last answer. Streams are cut off.
  void begin_shutdown();
  // Writes to the audit log what the client did, or may have done, without an answer. Call it
  // once, before the connection ends; it does so itself unless it is destroyed while it is open.
  void audit_unanswered();
  bool settled() const { return exchanges_.empty() && stream_->queued() == 0; }
  bool gone() const { return gone_; }
  // Bytes exchanged with the client; 0 once the connection was handed over to the peers.
  std::uint64_t bytes_in() const { return stream_ == nullptr ? 0 : stream_->bytes_in(); }
  std::uint64_t bytes_out() const { return stream_ == nullptr ? 0 : stream_->bytes_out(); }

 private:
  // What happens to incoming bytes.
  enum class Input : std::uint8_t {
    parsed,
    dropped,  // discarded: no further request will be answered
    ended,    // the client sends no more
  };
  // The message that the parser is reading.
  struct Reading {
    bool active = false;
    bool dropping = false;  // the answer is already known; the body is discarded
    bool wants_continue = false;
    std::uint64_t sequence = 0;
    std::size_t limit = 0;
    std::size_t size = 0;
    // So far; of a body that is streamed, what its request has not taken yet.
    std::string body;
    std::size_t counted = 0;  // of the body, in the budget
    // Nothing is read until the leader has told which tokens there are, and in case of `delayed`,
    // which is the answer, until the next sweep().
    bool waits_for_tokens = false;
    std::optional<api::Problem> delayed;
  };

  api::Context& api() const { return context_.api; }
  void on_bytes(std::string_view bytes);
  void on_ended();
  void on_failed(int code);
  void on_drained();

  void feed(std::string_view bytes);
  bool may_begin_request() const;
  bool may_read() const;
  void pause(std::string_view rest);
  void resume_reading();
  void on_head(std::string_view rest);
  void begin_body(api::HttpExchange& exchange, std::optional<api::Problem> problem);
  // ---- credentials (connection_access.cpp)
  void on_tokens(api::HttpExchange& exchange, const node::ClientReply& reply);
  void answer_delayed();
  void cut_body(api::BodyStream::Why why);
  // ---- the audit log (connection_audit.cpp)
  void audit_unanswered(api::HttpExchange& exchange);
  // ---- the rest
  void on_body(std::string_view part);
  // The request that takes the body being read as it arrives; null for any other.
  api::RequestStream* reading_stream() const;
  void feed_stream(api::RequestStream& stream, std::string_view part);
  // Call whenever the stream of a request may have moved on.
  void after_stream_step(api::HttpExchange& exchange);
  void count_body(std::size_t bytes);
  void on_message_end();
  void on_parse_error(const http::ParseError& error);
  bool upgrade(std::string_view rest);
  std::optional<api::Problem> refuse_transport();

  api::HttpExchange* find(std::uint64_t sequence);
  const api::HttpExchange* find(std::uint64_t sequence) const;
  // Refuses the message being read, and closes the connection after the answer.
  void refuse_reading(api::Problem problem);
  void answer_ready();
  void write_answer(api::HttpExchange& exchange);
  // Asks the stream for as many bytes as the window has room for. Returns false if the stream has
  // not ended, or has failed.
  bool pump_body();
  void append_piece(std::string_view piece);
  void end_body();
  void break_body();
  void pop_answered();
  void leave_node();
  void finish();
  void drop_reading();
  void close();
  void check_output(Instant now);
  bool may_stay_unread() const;
  void check_input(Instant now);
  void report_output();
  bool is_hung_up() const;

  const std::uint64_t id_;
  const ConnectionContext& context_;
  std::unique_ptr<io::Stream> stream_;
  http::Parser parser_;
  const Limit limit_;
  bool has_right_certificate_ = false;  // of a client; checked once
  bool is_local_ = false;               // the client is on this machine
  api::KnownClient known_client_;

  Input input_ = Input::parsed;
  bool paused_ = false;     // backlog_ waits until may_read()
  bool finishing_ = false;  // our half is closed, or closes once the output is sent
  bool gone_ = false;
  bool marked_ = false;  // a flush() is pending
  bool wrote_ = false;   // at least one request was answered
  std::string backlog_;
  Reading reading_;

  // In order; answered from the front. A list, because a deque has a block to spare, as large as an
  // exchange, for each of 10,000 connections that are idle.
  std::list<api::HttpExchange> exchanges_;
  std::uint64_t next_sequence_ = 0;
  std::unique_ptr<api::BodyStream> body_;  // of the answer at the front, while it is sent
  bool body_waits_ = false;                // until resume_body()
  std::size_t posted_bytes_ = 0;  // size of bodies that the node holds and has not answered

  Instant last_input_;
  // After an overload refusal, requests are not read until the announced retry time. Refusing costs
  // as much as serving, so refusals could otherwise use up all the time.
  Instant held_until_;
  Instant message_began_;  // when the current head's first byte, or the connection, arrived
  Instant finished_at_;
  Instant output_moved_at_;
  std::uint64_t output_taken_ = 0;  // bytes that the client had acknowledged at the last check
  std::size_t reported_output_ = 0;
  std::size_t dropped_bytes_ = 0;
};

}  // namespace vesper::server
