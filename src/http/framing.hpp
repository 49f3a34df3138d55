// Derives the connection-level meaning of a head's fields: host, body length, keep-alive,
// expectation, upgrade. Refuses everything that two readers of the message could interpret
// differently, to prevent request smuggling (RFC 9112 §11.2).
#pragma once

#include <cstdint>
#include <optional>

#include "http/message.hpp"

namespace vesper::http {

// Reads head.fields and fills in the members that depend on them, or returns why the request is
// refused. Requires method, target, version, authority and fields.
std::optional<ParseError> interpret_request(RequestHead& head);

// The request that a response answers. The answer to HEAD has no body, whatever its fields say.
enum class ResponseTo : std::uint8_t { head, other };

// Does the same for a response.
std::optional<ParseError> interpret_response(ResponseHead& head, ResponseTo request);

}  // namespace vesper::http
