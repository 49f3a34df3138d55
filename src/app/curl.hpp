// Writes requests as curl commands, for --curl.
#pragma once

#include <string>
#include <string_view>

#include "app/cluster_file.hpp"
#include "app/options.hpp"

namespace vesper::app {

// The text as one word of a POSIX shell. Bytes that are not printable use $'...', which bash, zsh
// and ksh know.
std::string shell_word(std::string_view text);

struct CurlRequest {
  std::string_view method;
  std::string_view target;
  std::string_view content_type;  // empty: curl's own, which no endpoint looks at
  // `file` and `upload` name a file, or "-" for stdin. curl reads the whole of a `file` before it
  // sends it, and streams an `upload`.
  enum class Body : std::uint8_t { none, text, file, upload };
  Body body = Body::none;
  std::string_view text_or_file;
  bool is_endless = false;  // the reply must be shown as it arrives
};

// One line, without a newline.
std::string curl_command(const HostPort& server, const TlsFlags& tls, const CurlRequest& request);

}  // namespace vesper::app
