#include "http/parser.hpp"

#include <llhttp.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assert.hpp"
#include "http/framing.hpp"
#include "http/grammar.hpp"
#include "http/line_check.hpp"

namespace vesper::http {

namespace {

// If one large head made the buffer larger than this, it is freed afterwards, so that ten thousand
// idle connections do not retain it.
constexpr std::size_t kKeptBuffer = 8 * 1024;

}  // namespace

struct Parser::Machine {
  llhttp_t llhttp;
  std::string_view name;
  Fields* fields = nullptr;  // receives the fields of the head
  bool head_complete = false;
  bool chunk_header = false;
  bool message_complete = false;
  std::size_t body_bytes = 0;  // in the last piece

  static Machine& of(llhttp_t* llhttp) { return *static_cast<Machine*>(llhttp->data); }

  static int on_name(llhttp_t* llhttp, const char* at, std::size_t size) {
    of(llhttp).name = {at, size};
    return 0;
  }
  static int on_value(llhttp_t* llhttp, const char* at, std::size_t size) {
    of(llhttp).fields->add({of(llhttp).name, trim({at, size})});
    return 0;
  }
  static int on_head(llhttp_t* llhttp) {
    of(llhttp).head_complete = true;
    // Otherwise llhttp would stop after the message and wait for another protocol. The caller
    // decides about an upgrade; without one, this is an ordinary message.
    llhttp->upgrade = 0;
    return 0;
  }
  static int on_body(llhttp_t* llhttp, const char*, std::size_t size) {
    of(llhttp).body_bytes += size;
    return 0;
  }
  static int on_chunk_header(llhttp_t* llhttp) {
    of(llhttp).chunk_header = true;
    return 0;
  }
  static int on_message_complete(llhttp_t* llhttp) {
    of(llhttp).message_complete = true;
    return 0;
  }

  static const llhttp_settings_t& settings() {
    static constexpr llhttp_settings_t kSettings = [] {
      llhttp_settings_t s{};
      s.on_header_field = on_name;
      s.on_header_value = on_value;
      s.on_headers_complete = on_head;
      s.on_body = on_body;
      s.on_chunk_header = on_chunk_header;
      s.on_message_complete = on_message_complete;
      return s;
    }();
    return kSettings;
  }

  void begin(Kind kind, Fields& into) {
    llhttp_init(&llhttp, kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, &settings());
    llhttp.data = this;
    fields = &into;
    head_complete = false;
    message_complete = false;
  }

  bool feed(std::string_view piece) {
    body_bytes = 0;
    chunk_header = false;
    return llhttp_execute(&llhttp, piece.data(), piece.size()) == HPE_OK;
  }

  // The text is static in llhttp.
  std::string_view reason() const {
    const char* text = llhttp_get_error_reason(&llhttp);
    return text != nullptr && *text != '\0' ? text : "the message is malformed";
  }
};

Parser::Parser(Kind kind, Limits limits)
    : kind_(kind), limits_(limits), machine_(std::make_unique<Machine>()) {}

Parser::~Parser() = default;

const RequestHead& Parser::request() const {
  VESPER_ASSERT(kind_ == Kind::request);
  return request_;
}

const ResponseHead& Parser::response() const {
  VESPER_ASSERT(kind_ == Kind::response);
  return response_;
}

Step Parser::fail(const ParseError& error) {
  error_ = error;
  phase_ = Phase::failed;
  return Step::error;
}

// llhttp refused input that our checks accepted, or interpreted it differently.
Step Parser::disagree() {
  return fail(malformed(machine_->reason()));
}

Step Parser::parse(std::string_view input, std::size_t& consumed) {
  consumed = 0;
  body_ = {};
  switch (phase_) {
    case Phase::before_line:
    case Phase::first_line:
    case Phase::fields: return parse_head(input, consumed);
    case Phase::message_over: return end_message();
    case Phase::closed: consumed = input.size(); return Step::need_more;
    case Phase::failed: return Step::error;
    case Phase::fixed_body:
    case Phase::close_body:
    case Phase::chunk_size:
    case Phase::chunk_data:
    case Phase::chunk_data_end:
    case Phase::trailer: return parse_body(input, consumed);
  }
  VESPER_UNREACHABLE();
}

Step Parser::finish() {
  body_ = {};
  switch (phase_) {
    case Phase::close_body:
    case Phase::message_over: phase_ = Phase::closed; return Step::message_end;
    case Phase::closed:
    case Phase::before_line: return Step::need_more;
    case Phase::failed: return Step::error;
    case Phase::first_line:
      if (buffer_.empty()) return Step::need_more;  // only an empty line followed the last message
      break;
    case Phase::fields:
    case Phase::fixed_body:
    case Phase::chunk_size:
    case Phase::chunk_data:
    case Phase::chunk_data_end:
    case Phase::trailer: break;
  }
  return fail(malformed("the connection ended in the middle of a message"));
}

Step Parser::end_message() {
  const bool keep_alive = kind_ == Kind::request ? request_.keep_alive : response_.keep_alive;
  phase_ = keep_alive ? Phase::before_line : Phase::closed;
  return Step::message_end;
}

void Parser::begin_message() {
  if (buffer_.capacity() > kKeptBuffer) buffer_ = std::string();
  buffer_.clear();
  trailer_line_ = std::string();
  line_start_ = 0;
  field_lines_ = 0;
  empty_line_ = EmptyLine::allowed;
  const auto reset = [](auto& head) {
    auto fields = std::move(head.fields);  // reuses its memory
    fields.clear();
    head = {};
    head.fields = std::move(fields);
  };
  if (kind_ == Kind::request) reset(request_);
  else reset(response_);
}

// The maximum length of the current line, including its end.
std::size_t Parser::line_room() const {
  if (phase_ == Phase::fields) {
    const std::size_t used = line_start_ - fields_start_;
    return limits_.max_header_bytes - used + 2;  // the final empty line does not count
  }
  return kind_ == Kind::request ? limits_.max_target + kRequestLineOverhead : kMaxStatusLine;
}

ParseError Parser::line_too_long() const {
  if (phase_ == Phase::fields)
    return {431, "headers_too_large", "the header fields are too long", limits_.max_header_bytes};
  if (kind_ == Kind::request)
    return {414, "uri_too_long", "the request target is too long", limits_.max_target};
  return malformed("the status line is too long");
}

Step Parser::parse_head(std::string_view input, std::size_t& consumed) {
  if (phase_ == Phase::before_line) {
    begin_message();
    if (input.empty()) return Step::need_more;
    phase_ = Phase::first_line;
  }
  while (consumed < input.size()) {
    const std::size_t had = buffer_.size() - line_start_;
    const std::size_t room = line_room();
    const std::string_view rest = input.substr(consumed, room - had);
    const std::size_t line_feed = rest.find('\n');
    const std::string_view piece =
        rest.substr(0, line_feed == rest.npos ? rest.npos : line_feed + 1);
    buffer_.append(piece);
    consumed += piece.size();
    if (const auto error = check_line(had)) return fail(*error);
    if (line_feed == rest.npos) {
      if (had + piece.size() == room) return fail(line_too_long());
      continue;
    }
    bool head_complete = false;
    if (const auto error = take_line(head_complete)) return fail(*error);
    if (head_complete) return complete_head();
  }
  return Step::need_more;
}

// Checks the last line in the buffer, of which the first `had` bytes were checked before.
std::optional<ParseError> Parser::check_line(std::size_t had) const {
  const std::string_view line = std::string_view(buffer_).substr(line_start_);
  if (phase_ == Phase::fields) return check_field_line_so_far(line, had);
  if (kind_ == Kind::response) return check_status_line_so_far(line, had);
  return check_request_line_so_far(line, had, limits_.max_target, empty_line_);
}

// Handles the last line in the buffer, which is complete and checked.
std::optional<ParseError> Parser::take_line(bool& head_complete) {
  const std::string_view line = std::string_view(buffer_).substr(line_start_);
  if (phase_ == Phase::first_line) {
    if (kind_ == Kind::request && line == "\r\n") {
      empty_line_ = EmptyLine::refused;
      buffer_.clear();
      return std::nullopt;
    }
    // These views are set again when the head is complete, because the buffer may still be
    // reallocated.
    auto error = kind_ == Kind::request ? check_request_line(line, request_)
                                        : check_status_line(line, response_);
    if (error) return error;
    phase_ = Phase::fields;
    fields_start_ = buffer_.size();
  } else {
    head_complete = line == "\r\n";
    if (!head_complete) {
      if (buffer_.size() - fields_start_ > limits_.max_header_bytes) return line_too_long();
      if (++field_lines_ > limits_.max_header_fields)
        return ParseError{431, "headers_too_large", "too many header fields",
                          limits_.max_header_fields};
    }
  }
  line_start_ = buffer_.size();
  return std::nullopt;
}

Step Parser::complete_head() {
  const std::string_view first_line = std::string_view(buffer_).substr(0, fields_start_);
  const std::string_view fields = std::string_view(buffer_).substr(fields_start_);
  Machine& machine = *machine_;
  if (kind_ == Kind::request) {
    const auto error = check_request_line(first_line, request_);
    VESPER_ASSERT(!error);
    // Whether a request has a body depends on its fields alone, not on its method. llhttp knows a
    // fixed set of methods and treats some specially, so it always gets the same plain request
    // line.
    machine.begin(kind_, request_.fields);
    const bool accepted = machine.feed("PUT * HTTP/1.1\r\n");
    VESPER_ASSERT(accepted);
  } else {
    machine.begin(kind_, response_.fields);
    if (!machine.feed(first_line)) return disagree();
  }
  const bool agreed = machine.feed(fields);
  if (!machine.head_complete) return disagree();
  const auto error = kind_ == Kind::request ? interpret_request(request_)
                                            : interpret_response(response_, response_to_);
  if (error) return fail(*error);
  // An interim response is not the answer to the HEAD.
  if (response_.status >= 200) response_to_ = ResponseTo::other;
  const Fields& found = kind_ == Kind::request ? request_.fields : response_.fields;
  if (!agreed || found.size() != field_lines_) return disagree();
  if (kind_ == Kind::request) enter_body(request_.framing, request_.content_length);
  else enter_body(response_.framing, response_.content_length);
  return Step::head;
}

void Parser::enter_body(BodyFraming framing, std::uint64_t length) {
  switch (framing) {
    case BodyFraming::none: phase_ = Phase::message_over; break;
    case BodyFraming::length:
      phase_ = Phase::fixed_body;
      remaining_ = length;
      break;
    case BodyFraming::chunked:
      phase_ = Phase::chunk_size;
      remaining_ = 0;
      chunk_line_ = ChunkLine();
      dropped_bytes_ = 0;
      break;
    case BodyFraming::until_close: phase_ = Phase::close_body; break;
  }
}

// Parses a body (RFC 9112 §6, §7.1).
Step Parser::parse_body(std::string_view input, std::size_t& consumed) {
  while (consumed < input.size()) {
    const std::string_view rest = input.substr(consumed);
    Step step = Step::need_more;
    switch (phase_) {
      case Phase::close_body: return give_body(rest, consumed);
      case Phase::fixed_body:
      case Phase::chunk_data:
        return give_body(rest.substr(0, std::min<std::uint64_t>(remaining_, rest.size())),
                         consumed);
      case Phase::chunk_size: step = parse_chunk_size(rest, consumed); break;
      case Phase::chunk_data_end: step = parse_chunk_data_end(rest, consumed); break;
      case Phase::trailer: step = parse_trailer(rest, consumed); break;
      case Phase::message_over: return end_message();
      case Phase::before_line:
      case Phase::first_line:
      case Phase::fields:
      case Phase::closed:
      case Phase::failed: VESPER_UNREACHABLE();
    }
    if (step == Step::error) return step;
  }
  return phase_ == Phase::message_over ? end_message() : Step::need_more;
}

Step Parser::give_body(std::string_view part, std::size_t& consumed) {
  if (!machine_->feed(part) || machine_->body_bytes != part.size()) return disagree();
  consumed += part.size();
  body_ = part;
  if (phase_ == Phase::close_body) return Step::body;
  remaining_ -= part.size();
  if (remaining_ > 0) return Step::body;
  if (phase_ == Phase::fixed_body) {
    if (!machine_->message_complete) return disagree();
    phase_ = Phase::message_over;
  } else {
    phase_ = Phase::chunk_data_end;
  }
  return Step::body;
}

// Grammar: chunk-size [ chunk-ext ] CRLF.
Step Parser::parse_chunk_size(std::string_view input, std::size_t& consumed) {
  for (const char c : input) {
    ++consumed;
    switch (chunk_line_.take(c)) {
      case ChunkLine::Verdict::more: break;
      case ChunkLine::Verdict::complete: return begin_chunk();
      case ChunkLine::Verdict::wrong: return fail(malformed(chunk_line_.detail()));
    }
    if (chunk_line_.in_extension() && ++dropped_bytes_ > limits_.max_header_bytes)
      return fail({431, "headers_too_large", "the extensions of the chunks are too long",
                   limits_.max_header_bytes});
  }
  return Step::need_more;
}

// llhttp gets only the size; it never sees the extensions.
Step Parser::begin_chunk() {
  remaining_ = chunk_line_.size();
  chunk_line_ = ChunkLine();
  char line[18];
  char* end = std::to_chars(line, line + 16, remaining_, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  if (!machine_->feed({line, static_cast<std::size_t>(end - line)})) return disagree();
  if (!machine_->chunk_header || machine_->llhttp.content_length != remaining_) return disagree();
  if (remaining_ > 0) {
    phase_ = Phase::chunk_data;
    dropped_bytes_ -= std::min<std::uint64_t>(dropped_bytes_, remaining_);
  } else {
    phase_ = Phase::trailer;
    dropped_bytes_ = trailer_fields_ = 0;
  }
  return Step::need_more;
}

// Parses the CRLF after a chunk's data.
Step Parser::parse_chunk_data_end(std::string_view input, std::size_t& consumed) {
  if (input.front() != (carriage_return_seen_ ? '\n' : '\r'))
    return fail(malformed("a chunk is longer than its size"));
  if (!machine_->feed(input.substr(0, 1))) return disagree();
  ++consumed;
  carriage_return_seen_ = !carriage_return_seen_;
  if (carriage_return_seen_) return Step::need_more;
  if (machine_->message_complete) return disagree();
  phase_ = Phase::chunk_size;
  return Step::need_more;
}

// Checks trailer fields like header fields, and discards them. RFC 9110 §6.5.1: a recipient must
// not merge a trailer field into the header section unless it knows that field to be safe to merge.
Step Parser::parse_trailer(std::string_view input, std::size_t& consumed) {
  const std::size_t had = trailer_line_.size();
  const std::size_t room = limits_.max_header_bytes - dropped_bytes_ + 2;
  const std::string_view rest = input.substr(0, room - had);
  const std::size_t line_feed = rest.find('\n');
  const std::string_view piece = rest.substr(0, line_feed == rest.npos ? rest.npos : line_feed + 1);
  trailer_line_.append(piece);
  consumed += piece.size();
  if (const auto error = check_field_line_so_far(trailer_line_, had)) return fail(*error);
  if (line_feed != rest.npos) return take_trailer_line();
  if (trailer_line_.size() < room) return Step::need_more;
  return fail(
      {431, "headers_too_large", "the trailer fields are too long", limits_.max_header_bytes});
}

Step Parser::take_trailer_line() {
  if (trailer_line_ == "\r\n") {
    if (!machine_->feed(trailer_line_) || !machine_->message_complete) return disagree();
    phase_ = Phase::message_over;
    return Step::need_more;
  }
  dropped_bytes_ += trailer_line_.size();
  trailer_line_.clear();
  if (dropped_bytes_ > limits_.max_header_bytes)
    return fail(
        {431, "headers_too_large", "the trailer fields are too long", limits_.max_header_bytes});
  if (++trailer_fields_ > limits_.max_header_fields)
    return fail({431, "headers_too_large", "too many trailer fields", limits_.max_header_fields});
  return Step::need_more;
}

}  // namespace vesper::http
