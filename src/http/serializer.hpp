// Appends heads of responses (for the server) and requests (for the command line and the peers) to
// an output buffer. The caller appends bodies itself, except for chunk framing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/literal.hpp"
#include "http/grammar.hpp"

namespace vesper::http {

// The name of a field, as a literal.
using FieldName = Literal<is_token>;

// Call order for a head: begin_response or begin_request, then fields, then end_head.
void begin_response(std::string& out, int status);
// `host` is the value of Host: host:port, without a scheme.
void begin_request(std::string& out, std::string_view method, std::string_view target,
                   std::string_view host);

// The fields of every reply (docs/http-api.md): Date, X-Content-Type-Options, Vesper-Node and, if a
// leader is known, Vesper-Leader.
struct StandardFields {
  std::string_view date;    // from DateCache::at
  std::string_view node;    // this node's id in digits
  std::string_view leader;  // the leader's address; empty: none is known
};
void append_standard_fields(std::string& out, const StandardFields& fields);

// Requires a value without control characters. Check values that come from users first.
void append_field(std::string& out, FieldName name, std::string_view value);
void append_field(std::string& out, FieldName name, std::uint64_t value);
// Appends ETag: "<revision>".
void append_etag(std::string& out, std::uint64_t revision);
void end_head(std::string& out);

// Appends one chunk of a chunked body (RFC 9112 §7.1). Requires at least one byte.
void append_chunk(std::string& out, std::string_view bytes);
// Ends a chunked body, without trailers.
void append_last_chunk(std::string& out);

// Appends the complete interim response 100 (RFC 9110 §15.2.1).
void append_continue(std::string& out);

}  // namespace vesper::http
