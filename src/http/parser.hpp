// A pull parser for HTTP/1.0 and HTTP/1.1: it takes bytes and returns steps, without callbacks. It
// splits the input into structural pieces and refuses lax input (line_check.hpp, framing.hpp).
// llhttp then parses the same pieces, and both must agree. No sockets, routes or body limits here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/chunk_line.hpp"
#include "http/framing.hpp"
#include "http/line_check.hpp"
#include "http/message.hpp"

namespace vesper::http {

struct Limits {
  std::size_t max_target = 32 * 1024;  // bytes of the request target; more is a 414
  // Bytes of all field lines including line ends; more is a 431. The same limit applies to trailer
  // fields, and to chunk extensions, which get one more byte for each byte of chunk data.
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_header_fields = 100;  // more is a 431; the same limit applies to trailer fields
};

enum class Step : std::uint8_t {
  need_more,    // all input was taken; nothing to report
  head,         // request() or response() is complete; no byte after the head was taken
  body,         // body() is the next part of the decoded body; never empty
  message_end,  // the message is complete; also reported if there is no body
  error,        // see error(); final, the remaining bytes have no meaning
};

// Parses one direction of one connection. The results do not depend on how the input is split over
// calls: the heads, body bytes, ends and errors are the same.
class Parser {
 public:
  enum class Kind : std::uint8_t { request, response };

  explicit Parser(Kind kind, Limits limits = {});
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Reads from `input` up to the next step and sets `consumed`. Call it again with the rest, even
  // if that is empty, until it returns need_more. After message_end, it continues with the next
  // message. After a message that was not keep_alive, it takes and ignores everything (RFC 9112
  // §9.6). After Step::head of an upgrade, the caller may stop and read the rest itself.
  Step parse(std::string_view input, std::size_t& consumed);

  // The connection has ended. Returns message_end if that ends a body, error in the middle of a
  // message, otherwise need_more.
  Step finish();

  // Valid from Step::head until the first parse() after message_end. Requires the matching Kind.
  const RequestHead& request() const;
  const ResponseHead& response() const;
  // After Step::body: a slice of that call's input.
  std::string_view body() const { return body_; }
  const ParseError& error() const { return error_; }

  // The next response answers a HEAD request and so has no body, whatever its fields say.
  void expect_head_response() { response_to_ = ResponseTo::head; }

  // True between two messages if no byte of the next one was taken.
  bool idle() const { return phase_ == Phase::before_line; }
  // True in the middle of a head.
  bool in_head() const { return phase_ == Phase::first_line || phase_ == Phase::fields; }

 private:
  struct Machine;  // llhttp and the state that its callbacks set

  enum class Phase : std::uint8_t {
    before_line,  // before the next message
    first_line,
    fields,
    fixed_body,
    close_body,
    chunk_size,
    chunk_data,
    chunk_data_end,
    trailer,
    message_over,  // message_end is due
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
  EmptyLine empty_line_ = EmptyLine::allowed;  // one before a request line is skipped
  ResponseTo response_to_ = ResponseTo::other;
  bool carriage_return_seen_ = false;  // between chunks
  ChunkLine chunk_line_;
  std::string trailer_line_;       // so far; bounded by the limits
  std::size_t dropped_bytes_ = 0;  // of extensions beyond the chunk data, then of trailer fields
  std::size_t trailer_fields_ = 0;
  std::uint64_t remaining_ = 0;   // bytes left of the body or the chunk
  std::string buffer_;            // the head so far; bounded by the limits
  std::size_t line_start_ = 0;    // in buffer_: the start of the current line
  std::size_t fields_start_ = 0;  // in buffer_: the end of the first line
  std::size_t field_lines_ = 0;
  RequestHead request_;
  ResponseHead response_;
  std::string_view body_;
  ParseError error_;
  std::unique_ptr<Machine> machine_;
};

}  // namespace vesper::http
