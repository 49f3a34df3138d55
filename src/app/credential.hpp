// The token that the commands send with every request: from --token-file, or from VESPER_TOKEN. It
// is never an argument, because other users of the machine can read those.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vesper::app {

// Reads the token, once, before a command begins. `file`: the value of --token-file; "-" reads one
// line of standard input and leaves the rest.
Result<void> load_token(const std::optional<std::string>& file);

// Empty: there is none.
std::string_view client_token();

// Appends the field Authorization to the head of a request, if there is a token.
void append_authorization(std::string& out);

}  // namespace vesper::app
