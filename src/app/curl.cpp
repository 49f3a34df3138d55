#include "app/curl.hpp"

#include <fmt/core.h>

#include "app/client_tls.hpp"
#include "app/credential.hpp"
#include "http/target.hpp"
#include "json/text.hpp"

namespace vesper::app {
namespace {

constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:@%+,";

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool needs_escapes(std::string_view text) {
  // The second condition finds the control characters U+0080 to U+009F.
  for (std::size_t i = 0; i < text.size(); ++i)
    if (is_control(text[i]) || (text[i] == '\xc2' && i + 1 < text.size() && text[i + 1] < '\xa0'))
      return true;
  return !json::is_utf8(text);
}

std::string with_escapes(std::string_view text) {
  std::string out = "$'";
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '\'' || c == '\\') out.append({'\\', c});
    // Three octal digits, because \xNN would also take the hexadecimal digits that follow in zsh.
    else if (is_control(c) || static_cast<unsigned char>(c) > 0x7f)
      out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    else out += c;
  }
  return out + "'";
}

// curl resolves "." and ".." segments itself, unless it is told not to.
bool has_dot_segment(std::string_view target) {
  std::string_view path = http::split_target(target).path;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = path.find('/');
    const std::string_view segment = path.substr(0, end);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(end == path.npos ? path.size() : end);
  }
  return false;
}

}  // namespace

std::string shell_word(std::string_view text) {
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return std::string(text);
  if (needs_escapes(text)) return with_escapes(text);
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out + "'";
}

std::string curl_command(const HostPort& server, const TlsFlags& given,
                         const CurlRequest& request) {
  using Body = CurlRequest::Body;
  const bool is_data = request.body == Body::text || request.body == Body::file;
  const std::string_view default_method = is_data                        ? "POST"
                                          : request.body == Body::upload ? "PUT"
                                                                         : "GET";
  std::string out = request.is_endless ? "curl -N" : "curl";
  // The shell puts the token in. It is never shown.
  if (!client_token().empty()) out += " -H \"Authorization: Bearer $VESPER_TOKEN\"";
  if (request.method != default_method) out += fmt::format(" -X {}", request.method);
  if (!request.content_type.empty())
    out += " -H " + shell_word(fmt::format("Content-Type: {}", request.content_type));
  // --data-raw does not take a leading @ for a file. --data-binary keeps the newlines of a file.
  const std::string file(request.text_or_file);
  if (request.body == Body::text) out += " --data-raw " + shell_word(file);
  if (request.body == Body::file) out += " --data-binary " + shell_word("@" + file);
  if (request.body == Body::upload) {
    // curl would expand brackets and braces in the name.
    if (file.find_first_of("[]{}") != file.npos) out += " -g";
    out += " -T " + shell_word(file);
  }
  if (has_dot_segment(request.target)) out += " --path-as-is";
  if (server.scheme == Scheme::https) {
    const TlsFlags tls = with_environment(given);
    if (!tls.cacert.empty()) out += " --cacert " + shell_word(tls.cacert);
    if (!tls.cert.empty()) out += " --cert " + shell_word(tls.cert);
    if (!tls.key.empty()) out += " --key " + shell_word(tls.key);
    if (tls.insecure) out += " --insecure";
  }
  return out + " " + shell_word(server.url() + std::string(request.target));
}

}  // namespace vesper::app
