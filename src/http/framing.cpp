#include "http/framing.hpp"

#include "http/grammar.hpp"
#include "http/target.hpp"
#include "http/values.hpp"

namespace vesper::http {

namespace {

// The fields that matter here, collected in one pass.
struct Found {
  const Field* host = nullptr;
  const Field* content_length = nullptr;
  const Field* upgrade = nullptr;
  std::size_t hosts = 0;
  std::size_t content_lengths = 0;
  std::size_t transfer_encodings = 0;
  std::size_t expects = 0;
  bool connection_close = false;
  bool connection_keep_alive = false;
  bool connection_upgrade = false;
  bool continue_100 = false;
};

Found look_through(const Fields& fields) {
  Found found;
  for (const Field& field : fields) {
    switch (field.name.size()) {  // no two of the names below have the same length
      case 4:
        if (!equal_ignoring_case(field.name, "host")) break;
        found.host = &field;
        ++found.hosts;
        break;
      case 6:
        if (!equal_ignoring_case(field.name, "expect")) break;
        found.continue_100 = equal_ignoring_case(field.value, "100-continue");
        ++found.expects;
        break;
      case 7:
        if (equal_ignoring_case(field.name, "upgrade")) found.upgrade = &field;
        break;
      case 10:
        if (!equal_ignoring_case(field.name, "connection")) break;
        found.connection_close |= list_contains(field.value, "close");
        found.connection_keep_alive |= list_contains(field.value, "keep-alive");
        found.connection_upgrade |= list_contains(field.value, "upgrade");
        break;
      case 14:
        if (!equal_ignoring_case(field.name, "content-length")) break;
        found.content_length = &field;
        ++found.content_lengths;
        break;
      case 17:
        if (equal_ignoring_case(field.name, "transfer-encoding")) ++found.transfer_encodings;
        break;
      default: break;
    }
  }
  return found;
}

// RFC 9112 §6.1: the codings of all Transfer-Encoding lines together must be exactly `chunked`.
std::optional<ParseError> check_codings(const Fields& fields) {
  bool chunked = false;
  bool other = false;
  for (const Field& field : fields) {
    if (!equal_ignoring_case(field.name, "transfer-encoding")) continue;
    ListReader codings(field.value);
    for (std::string_view coding; codings.next(coding);) {
      if (!is_token(coding)) return malformed("Transfer-Encoding is not a list of codings");
      if (chunked) return malformed("chunked is not the last transfer coding");
      if (equal_ignoring_case(coding, "chunked")) chunked = true;
      else other = true;
    }
  }
  if (other)
    return ParseError{501, "not_implemented", "the only supported transfer coding is chunked", 0};
  return std::nullopt;
}

// RFC 9112 §6.3. Refuses everything that the RFC leaves to the recipient. Leaves `framing`
// unchanged if no field describes a body.
std::optional<ParseError> find_framing(const Fields& fields, const Found& found,
                                       std::uint8_t minor_version, BodyFraming& framing,
                                       std::uint64_t& length) {
  if (found.transfer_encodings > 0) {
    if (found.content_lengths > 0)
      return malformed("Content-Length and Transfer-Encoding must not be used together");
    if (minor_version == 0) return malformed("HTTP/1.0 does not allow Transfer-Encoding");
    if (auto error = check_codings(fields)) return error;
    framing = BodyFraming::chunked;
  } else if (found.content_lengths > 0) {
    if (found.content_lengths > 1) return malformed("more than one Content-Length");
    const auto value = parse_decimal(found.content_length->value);
    if (!value) return malformed("Content-Length is not a plain decimal number");
    length = *value;
    framing = length == 0 ? BodyFraming::none : BodyFraming::length;
  }
  return std::nullopt;
}

// RFC 9112 §3.2: exactly one well-formed Host. The authority of an absolute target takes precedence
// (RFC 9112 §3.2.2).
std::optional<ParseError> find_authority(const Found& found, RequestHead& head) {
  if (found.hosts > 1) return malformed("more than one Host");
  if (found.hosts == 0) {
    if (head.minor_version == 1) return malformed("HTTP/1.1 requires a Host header");
    return std::nullopt;
  }
  if (!parse_authority(found.host->value)) return malformed("Host is neither a host nor host:port");
  if (head.authority.empty()) head.authority = found.host->value;
  return std::nullopt;
}

}  // namespace

std::optional<ParseError> interpret_request(RequestHead& head) {
  const Found found = look_through(head.fields);
  if (auto error = find_authority(found, head)) return error;
  if (auto error =
          find_framing(head.fields, found, head.minor_version, head.framing, head.content_length))
    return error;
  head.has_content_length = found.content_lengths > 0;
  // RFC 9112 §9.3: an HTTP/1.0 connection persists only if the request asks for it.
  head.keep_alive =
      !found.connection_close && (head.minor_version == 1 || found.connection_keep_alive);
  if (head.minor_version == 1 && found.expects > 0)
    head.expectation =
        found.expects == 1 && found.continue_100 ? Expectation::continue_100 : Expectation::other;
  if (head.minor_version == 1 && found.connection_upgrade && found.upgrade != nullptr)
    head.upgrade = found.upgrade->value;
  return std::nullopt;
}

std::optional<ParseError> interpret_response(ResponseHead& head, ResponseTo request) {
  const Found found = look_through(head.fields);
  head.framing = BodyFraming::until_close;
  if (auto error =
          find_framing(head.fields, found, head.minor_version, head.framing, head.content_length))
    return error;
  if (request == ResponseTo::head || head.status < 200 || head.status == 204 || head.status == 304)
    head.framing = BodyFraming::none;
  head.keep_alive = head.minor_version == 1 && !found.connection_close &&
                    head.framing != BodyFraming::until_close;
  if (found.connection_upgrade && found.upgrade != nullptr) head.upgrade = found.upgrade->value;
  return std::nullopt;
}

}  // namespace vesper::http
