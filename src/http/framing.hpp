// What the fields of a head mean for the connection: host, length of the body, keep-alive,
// expectation, upgrade. Everything that two readers of one message could understand differently is
// refused here (RFC 9112 §11.2, request smuggling).
#pragma once

#include <optional>

#include "http/message.hpp"

namespace vesper::http {

// Reads head.fields, fills in what follows from them, or says why the request is refused. Requires
// method, target, version, authority and fields.
std::optional<ParseError> interpret_request(RequestHead& head);

// The same for a response. `to_head`: it answers a HEAD request and has no body whatever it says.
std::optional<ParseError> interpret_response(ResponseHead& head, bool to_head);

}  // namespace vesper::http
