// The audit log: one line of JSON for each administrative act and for each refused access, and on
// demand for each write of data. It never holds a value or a secret.
#pragma once

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

// Writes a line about an exchange whose answer is rendered, if it is one of those above and the
// context has a sink. `from`: the address of the client.
void audit(const Context& context, const HttpExchange& exchange, const Answer& answer,
           const std::string& from);

}  // namespace vesper::api
