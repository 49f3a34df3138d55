// A pull parser for HTTP/1.0 and HTTP/1.1: bytes in, steps out, no callback reaches the caller. It
// cuts the input at its structural borders and refuses what is lax (line_check, framing); llhttp
// reads the same pieces and both have to agree. No sockets, no routes, no body limits in here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/chunk_line.hpp"
#include "http/message.hpp"

namespace vesper::http {

struct Limits {
  std::size_t max_target = 32 * 1024;  // bytes of the request target: 414
  // Bytes of all field lines, line ends included: 431. As many again of trailer fields, and of
  // chunks' extensions beside one for each byte of the chunks' data.
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_header_fields = 100;  // 431; as many again of trailer fields
};

enum class Step : std::uint8_t {
  need_more,    // all input is taken; nothing to report
  head,         // request() or response() is complete; nothing behind it is taken yet
  body,         // body() is the next part of the decoded body, never empty
  message_end,  // of the body and of the message; a head without a body has one, too
  error,        // error() says why; for good: the bytes behind it mean nothing
};

// One connection's reader. However the input is split over calls, the heads, the bytes of the
// bodies, the ends and the error are the same.
class Parser {
 public:
  enum class Kind : std::uint8_t { request, response };

  explicit Parser(Kind kind, Limits limits = {});
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Reads from `input` up to the next step and says how much of it was taken. To be called again
  // with the rest (also with an empty rest) until need_more. After message_end it goes on with the
  // next message; behind a message that was not keep_alive everything is taken and ignored
  // (RFC 9112 §9.6). After Step::head of an upgrade the caller may stop and read the rest itself.
  Step parse(std::string_view input, std::size_t& consumed);

  // The connection's end. message_end where it ends a body, error in the middle of a message,
  // else need_more.
  Step finish();

  // Valid from Step::head until the first parse() after message_end. Requires the right kind.
  const RequestHead& request() const;
  const ResponseHead& response() const;
  // After Step::body: a slice of the input of that call.
  std::string_view body() const { return body_; }
  const ParseError& error() const { return error_; }

  // The next response answers a HEAD request: it has no body whatever it says.
  void expect_head_response() { to_head_ = true; }

  // Between two messages, with no byte of the next one taken: an idle connection.
  bool idle() const { return phase_ == Phase::before_line; }
  // In the middle of a head.
  bool in_head() const { return phase_ == Phase::first_line || phase_ == Phase::fields; }

 private:
  struct Machine;  // llhttp and what its callbacks note down

  enum class Phase : std::uint8_t {
    before_line,  // of the next message
    first_line,
    fields,
    fixed_body,
    close_body,
    chunk_size,
    chunk_data,
    chunk_data_end,
    trailer,
    message_over,  // message_end is to be reported
    closed,        // input is ignored
    failed,
  };

  Step parse_head(std::string_view input, std::size_t& consumed);
  Step parse_body(std::string_view input, std::size_t& consumed);
  Step parse_chunk_size(std::string_view input, std::size_t& consumed);
  Step begin_chunk();
  Step parse_chunk_data_end(std::string_view input, std::size_t& consumed);
  Step parse_trailer(std::string_view input, std::size_t& consumed);
  Step take_trailer_line();
  Step give_body(std::string_view part, std::size_t& consumed);
  Step end_message();
  Step complete_head();
  void begin_message();
  std::optional<ParseError> check_line(std::size_t had) const;
  std::optional<ParseError> take_line(bool& head_complete);
  std::size_t line_room() const;
  ParseError line_too_long() const;
  void enter_body(BodyFraming framing, std::uint64_t length);
  Step fail(const ParseError& error);
  Step disagree();

  Kind kind_;
  Limits limits_;
  Phase phase_ = Phase::before_line;
  bool empty_line_seen_ = false;  // one empty line before a request line is skipped
  bool to_head_ = false;
  bool carriage_return_seen_ = false;  // in the line between chunks
  ChunkLine chunk_line_;
  std::string trailer_line_;       // so far; never above the limits
  std::size_t dropped_bytes_ = 0;  // of extensions beyond the data, then of trailer fields
  std::size_t trailer_fields_ = 0;
  std::uint64_t remaining_ = 0;   // bytes of the body, or of the chunk, still to come
  std::string buffer_;            // the head so far, never above the limits
  std::size_t line_start_ = 0;    // in buffer_: where the line begins that is being read
  std::size_t fields_start_ = 0;  // in buffer_: behind the first line
  std::size_t field_lines_ = 0;
  RequestHead request_;
  ResponseHead response_;
  std::string_view body_;
  ParseError error_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace vesper::http
