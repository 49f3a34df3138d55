#include "app/credential.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "http/serializer.hpp"
#include "server/certificates.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kMaxToken = 512;  // bytes; the server accepts no longer one

std::string& token() {
  static std::string token;
  return token;
}

// Byte by byte: what follows the line is for the command.
std::string read_line_of_stdin() {
  std::string line;
  char c = 0;
  while (line.size() <= kMaxToken) {
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || c == '\n') break;
    line += c;
  }
  return line;
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<void> load_token(const std::optional<std::string>& file) {
  std::string text;
  std::string_view from = "VESPER_TOKEN";
  if (file) {
    from = *file == "-" ? std::string_view("standard input") : std::string_view(*file);
    if (*file == "-") {
      text = read_line_of_stdin();
    } else {
      auto bytes = server::read_credential(*file, server::Secrecy::secret);
      if (!bytes) return std::move(bytes).error();
      text = std::move(*bytes);
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  } else if (const char* variable = std::getenv("VESPER_TOKEN"); variable != nullptr) {
    text = variable;
    if (text.empty()) return {};
  } else {
    return {};
  }
  if (!is_token(text))
    return Error{fmt::format("{}: expected a token, 1 to {} visible characters without spaces",
                             from, kMaxToken)};
  token() = std::move(text);
  return {};
}

std::string_view client_token() {
  return token();
}

void append_authorization(std::string& out) {
  if (token().empty()) return;
  http::append_field(out, "Authorization", "Bearer " + token());
}

}  // namespace vesper::app
