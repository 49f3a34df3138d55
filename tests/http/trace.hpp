// What a parser makes of some bytes, as text: equal text for equal outcomes, however the bytes were
// split. Shared by the tests and the fuzz target.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/parser.hpp"

namespace vesper::http {

class Tracer {
 public:
  explicit Tracer(Parser::Kind kind, Limits limits = {}) : kind_(kind), parser_(kind, limits) {}

  // Reads one piece to its end. The piece is copied to memory of exactly its size, which is given
  // back afterwards, so that a sanitizer sees a view that outlives it or a read past its end.
  void feed(std::string_view piece) {
    const std::vector<char> owned(piece.begin(), piece.end());
    std::string_view rest(owned.data(), owned.size());
    while (!failed_) {
      std::size_t consumed = 0;
      const Step step = parser_.parse(rest, consumed);
      if (step == Step::error) {
        note_error();
        return;
      }
      if (consumed > rest.size()) std::abort();
      const std::string_view taken = rest.substr(0, consumed);
      rest.remove_prefix(consumed);
      switch (step) {
        case Step::need_more:
          if (!rest.empty()) std::abort();
          return;
        case Step::head: note_head(); break;
        case Step::body:
          // A view into the piece, not empty.
          if (parser_.body().empty() || parser_.body().data() < taken.data() ||
              parser_.body().data() + parser_.body().size() > taken.data() + taken.size())
            std::abort();
          if (!in_body_) brief_ += " [";
          in_body_ = true;
          brief_ += parser_.body();
          break;
        case Step::message_end: note_end(); break;
        case Step::error: break;
      }
    }
  }

  void finish() {
    if (failed_) return;
    const Step step = parser_.finish();
    if (step == Step::error) note_error();
    if (step == Step::message_end) note_end();
  }

  Parser& parser() { return parser_; }
  bool failed() const { return failed_; }
  // "PUT /a?b @host len=3 [abc] end; 400 malformed; ": what the tables of the tests expect.
  const std::string& brief() const { return brief_; }
  // Also every field and the error's sentence.
  std::string full() const { return brief_ + "\n" + fields_; }

 private:
  void note_head() {
    if (kind_ == Parser::Kind::request) note_request(parser_.request());
    else note_response(parser_.response());
  }
  void note_request(const RequestHead& head) {
    if (head.method != method_from(head.method_text)) std::abort();
    brief_ += head.method_text;
    brief_ += ' ';
    brief_ += head.path;
    if (head.has_query) (brief_ += '?') += head.query;
    (brief_ += " @") += head.authority;
    if (head.minor_version == 0) brief_ += " 1.0";
    if (!head.keep_alive) brief_ += " close";
    note_framing(head.framing, head.content_length);
    if (head.framing == BodyFraming::none && head.has_content_length) brief_ += " len=0";
    if (head.expectation == Expectation::continue_100) brief_ += " 100?";
    if (head.expectation == Expectation::other) brief_ += " expect?";
    if (!head.upgrade.empty()) (brief_ += " up=") += head.upgrade;
    note_fields(head.fields);
    (fields_ += head.target) += '\n';
  }
  void note_response(const ResponseHead& head) {
    brief_ += std::to_string(head.status);
    if (head.minor_version == 0) brief_ += " 1.0";
    if (!head.keep_alive) brief_ += " close";
    note_framing(head.framing, head.content_length);
    if (!head.upgrade.empty()) (brief_ += " up=") += head.upgrade;
    note_fields(head.fields);
  }
  void note_framing(BodyFraming framing, std::uint64_t length) {
    switch (framing) {
      case BodyFraming::none: break;
      case BodyFraming::length: brief_ += " len=" + std::to_string(length); break;
      case BodyFraming::chunked: brief_ += " chunked"; break;
      case BodyFraming::until_close: brief_ += " until-close"; break;
    }
  }
  void note_fields(const Fields& fields) {
    for (const Field& field : fields) {
      fields_ += field.name;
      fields_ += '=';
      fields_ += field.value;
      fields_ += '\n';
    }
  }
  void note_end() {
    if (in_body_) brief_ += ']';
    in_body_ = false;
    brief_ += " end; ";
  }
  void note_error() {
    const ParseError& error = parser_.error();
    failed_ = true;
    if (in_body_) brief_ += ']';
    if (!brief_.empty() && brief_.back() != ' ') brief_ += ' ';
    brief_ += std::to_string(error.status);
    brief_ += ' ';
    brief_ += error.code;
    brief_ += "; ";
    fields_ += error.detail;
    fields_ += std::to_string(error.limit);
  }

  Parser::Kind kind_;
  Parser parser_;
  std::string brief_;
  std::string fields_;
  bool in_body_ = false;
  bool failed_ = false;
};

}  // namespace vesper::http
