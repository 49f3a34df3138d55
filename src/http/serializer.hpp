// Writes heads of responses (the server) and requests (the command line, the peers) behind what a
// connection's output buffer already holds. Append only; bodies are the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vesper::http {

// The order of a head: begin_response or begin_request, fields, end_head.
void begin_response(std::string& out, int status);
// `host` as Host wants it: host:port, without a scheme.
void begin_request(std::string& out, std::string_view method, std::string_view target,
                   std::string_view host);

// What every reply carries (docs/http-api.md): Date, X-Content-Type-Options, Vesper-Node and, while
// one is known, Vesper-Leader.
struct StandardFields {
  std::string_view date;    // DateCache::at
  std::string_view node;    // the id in digits
  std::string_view leader;  // its address; empty: none known
};
void append_standard_fields(std::string& out, const StandardFields& fields);

// Requires a token as name and a value without control characters: both are ours. What users sent
// has to be checked before.
void append_field(std::string& out, std::string_view name, std::string_view value);
void append_field(std::string& out, std::string_view name, std::uint64_t value);
// ETag: "<revision>"
void append_etag(std::string& out, std::uint64_t revision);
void end_head(std::string& out);

// A piece of a chunked body (RFC 9112 §7.1). Requires at least one byte.
void append_chunk(std::string& out, std::string_view bytes);
// The end of a chunked body, without trailers.
void append_last_chunk(std::string& out);

// The whole interim response (RFC 9110 §15.2.1).
void append_continue(std::string& out);

}  // namespace vesper::http
