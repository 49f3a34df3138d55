#include "app/import_line.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.hpp"
#include "json/document.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kImportStep = 256 * 1024;
// In base64, a value takes 4/3 of its bytes. As a JSON string it may take six times as many, and
// servers accept no line of that size.
constexpr std::size_t kLargeLine = std::size_t{1} << 20;

Error bad_member(std::string_view name, std::string_view what) {
  return Error{fmt::format("\"{}\": expected {}", escaped(name), what), 0};
}

struct Line {
  std::optional<std::string> key, value;
  bool json = false;
};

Result<void> take_bytes(const json::Value::Member& member, std::string_view name,
                        std::optional<std::string>& bytes) {
  const auto text = member.value.string();
  if (!text) return bad_member(member.name, "a string");
  if (bytes) return Error{fmt::format("\"{0}\" and \"{0}_base64\" exclude each other", name), 0};
  if (member.name == name) bytes = std::string(*text);
  else bytes = json::decode_base64(*text);
  if (!bytes) return bad_member(member.name, "base64 (RFC 4648 §4, with padding)");
  return {};
}

bool is_ignored(std::string_view name) {
  constexpr std::array<std::string_view, 5> kIgnored = {"revision", "create_revision", "version",
                                                        "lease", "ttl_ms"};
  return std::find(kIgnored.begin(), kIgnored.end(), name) != kIgnored.end();
}

Result<void> take_member(const json::Value::Member& member, Line& line) {
  if (member.name == "key" || member.name == "key_base64")
    return take_bytes(member, "key", line.key);
  if (member.name == "value" || member.name == "value_base64")
    return take_bytes(member, "value", line.value);
  if (member.name == "json") {
    if (!member.value.boolean()) return bad_member(member.name, "true or false");
    line.json = *member.value.boolean();
    return {};
  }
  if (is_ignored(member.name)) return {};
  return Error{fmt::format("unknown member \"{}\"", escaped(member.name)), 0};
}

Result<Line> read_line(std::string_view text) {
  json::Document document;
  if (const auto problem = document.parse(text, {kMaxLine, json::kMaxDepth, std::size_t{1} << 20}))
    return Error{problem->detail, 0};
  if (document.root().kind() != json::Kind::object) return Error{"expected a JSON object", 0};
  Line line;
  for (const json::Value::Member& member : document.root())
    if (auto taken = take_member(member, line); !taken) return taken.error();
  if (!line.key) return Error{"\"key\" is missing", 0};
  if (!line.value) return Error{"\"value\" is missing", 0};
  return line;
}

}  // namespace

Result<void> rewrite_line(std::string_view text, std::string& out) {
  auto line = read_line(text);
  if (!line) return line.error();
  json::Writer w(out);
  w.begin_object();
  w.bytes_member("key", *line->key);
  if (text.size() > kLargeLine && !line->json) {
    w.key("value_base64");
    w.base64(*line->value);
  } else {
    w.bytes_member("value", *line->value);
  }
  if (line->json) w.member("json", true);
  w.end_object();
  out += '\n';
  return {};
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == line.npos;
}

LineReader::~LineReader() {
  if (fd_ > STDERR_FILENO) close(fd_);
}

Result<void> LineReader::open(const std::string& file) {
  fd_ = file == "-" ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (fd_ < 0 || fstat(fd_, &status) != 0)
    return Error{fmt::format("{}: {}", file, std::strerror(errno)), errno};
  if (S_ISREG(status.st_mode)) size_ = static_cast<std::uint64_t>(status.st_size);
  return {};
}

LineReader::Next LineReader::fill() {
  // The lines before at_ are done with.
  buffer_.erase(0, at_);
  scanned_ -= at_;
  at_ = 0;
  pollfd readable{fd_, POLLIN, 0};
  if (poll(&readable, 1, 0) == 0) return Next::wait;
  const std::size_t had = buffer_.size();
  buffer_.resize(had + kImportStep);
  const ssize_t got = read(fd_, buffer_.data() + had, kImportStep);
  buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Next::wait;
    error_ = std::strerror(errno);
    return Next::error;
  }
  if (got == 0) at_end_ = true;
  return Next::line;
}

LineReader::Next LineReader::next(std::string_view& line) {
  while (true) {
    const std::size_t newline = buffer_.find('\n', scanned_);
    const bool is_last = newline == buffer_.npos && at_end_;
    if (newline != buffer_.npos || (is_last && at_ < buffer_.size())) {
      const std::size_t end = is_last ? buffer_.size() : newline;
      line = std::string_view(buffer_).substr(at_, end - at_);
      at_ = scanned_ = is_last ? end : end + 1;
      taken_ += line.size() + 1;
      return Next::line;
    }
    if (is_last) return Next::end;
    scanned_ = buffer_.size();
    if (scanned_ - at_ > kMaxLine) {
      error_ = fmt::format("the line has more than {} bytes", kMaxLine);
      return Next::error;
    }
    if (const Next filled = fill(); filled != Next::line) return filled;
  }
}

}  // namespace vesper::app
