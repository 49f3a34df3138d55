// The audit log: one line of JSON for each administrative act, on demand for each write of data,
// and for refused access, of which a second has a bounded number of lines. It never holds a value
// or a secret.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/forward.hpp"

namespace vesper::api {

class AuditSink {
 public:
  virtual ~AuditSink() = default;
  // Takes a line, which ends with a newline. Never blocks.
  virtual void write(std::string_view line) = 0;
};

enum class AuditScope : std::uint8_t { acts, acts_and_writes };

// What a line says beyond the outcome: kept from the request, only if there is an audit log.
struct Audited {
  static constexpr std::size_t kMaxBody = 4096;  // bytes
  static constexpr std::size_t kMaxKeys = 16;    // of a transaction or an import

  std::string path, query;
  std::string body;  // of an administrative act, up to kMaxBody
};

// Writes a line about an exchange whose answer is rendered, if it is one of those above and the
// context has a sink. `from`: the address and port of the client.
void audit(Context& context, const HttpExchange& exchange, const Answer& answer,
           const std::string& from);
// Writes a line about a dialler that was refused as a peer. `code`: static text.
void audit_refused_peer(Context& context, const std::string& from, int status,
                        std::string_view code);
// Writes a line: the root token was made again, as the data directory ordered.
void audit_root_reset(Context& context);
// Call once a second: writes how many refusals had no line of their own since the last call.
void audit_refusals(Context& context);

}  // namespace vesper::api
