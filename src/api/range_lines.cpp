#include "api/range_lines.hpp"

#include <algorithm>

#include "api/problem.hpp"
#include "api/render.hpp"
#include "json/text.hpp"

namespace vesper::api {
namespace {

using Encoding = json::Writer::Encoding;

constexpr std::size_t kWork = 4096;         // of one call, in visited keys
constexpr std::size_t kVisitsAtOnce = 512;  // so that few versions wait to be rendered
constexpr std::size_t kLongValue = 16u << 10;
// Bytes of a value that are checked or written at once. Divisible by three, for base64.
constexpr std::size_t kPart = 12u << 10;
constexpr std::size_t kBytesPerVisit = 64;  // that cost about as much as a visit

}  // namespace

BodyStream::Next RangeLines::next(std::size_t room, std::string& out) {
  work_ = kWork;
  while (room > 0) {
    if (text_at_ == text_.size()) {
      text_.clear();
      text_at_ = 0;
      fill(room);
    }
    const std::size_t size = std::min(room, text_.size() - text_at_);
    out.append(text_, text_at_, size);
    text_at_ += size;
    room -= size;
    if (text_at_ != text_.size()) continue;
    if (is_read_ && !long_ && kv_at_ == page_.kvs.size() && prefix_at_ == page_.prefixes.size())
      return Next::finished;
    if (work_ == 0) return Next::later;
  }
  return Next::bytes;
}

// Renders about as much as there is room for, unless the work of this call is done before.
void RangeLines::fill(std::size_t room) {
  while (text_.size() < room && work_ > 0) {
    if (long_ && !long_->is_checked) check_some();
    else if (long_) write_some();
    else if (!append_next_line() && !read_some()) return;
  }
}

// Reads on. Returns false at the end of the range.
bool RangeLines::read_some() {
  if (is_read_) return false;
  const std::size_t visits = std::min(work_, kVisitsAtOnce);
  page_ = range_.next(visits, kLongValue, is_read_);
  kv_at_ = prefix_at_ = 0;
  spend(visits);
  return true;
}

bool RangeLines::append_next_line() {
  if (next_is_prefix()) {
    json::Writer json(text_);
    json.begin_object();
    json.bytes_member("prefix", page_.prefixes[prefix_at_++]);
    json.end_object();
    text_ += '\n';
    return true;
  }
  if (kv_at_ == page_.kvs.size()) return false;
  append_line(page_.kvs[kv_at_++]);
  return true;
}

// Keys and prefixes come in one order.
bool RangeLines::next_is_prefix() const {
  if (prefix_at_ == page_.prefixes.size()) return false;
  if (kv_at_ == page_.kvs.size()) return true;
  const bool is_below = page_.prefixes[prefix_at_] < page_.kvs[kv_at_]->key();
  return is_below == (order_ == kv::Order::ascending);
}

void RangeLines::append_line(const kv::VersionRef& version) {
  if (content_ == kv::Content::values && version->value().size() > kLongValue) {
    long_.emplace(version, json::Writer(text_));
    return;
  }
  json::Writer json(text_);
  append_version(json, *version, content_);
  text_ += '\n';
}

// Checks a part of a long value for UTF-8.
void RangeLines::check_some() {
  const std::string_view left = long_->version->value().substr(long_->checked);
  std::string_view part = left.substr(0, kPart);
  if (part.size() < left.size()) part.remove_suffix(json::incomplete_tail(part));
  const bool is_utf8 = json::is_utf8(part);
  long_->checked += part.size();
  spend(part.size() / kBytesPerVisit);
  if (is_utf8 && part.size() < left.size()) return;
  long_->is_checked = true;
  long_->encoding = is_utf8 ? Encoding::utf8 : Encoding::base64;
  long_->json.begin_object();
  long_->json.bytes_member("key", long_->version->key());
  long_->json.begin_bytes_member("value", long_->encoding);
}

void RangeLines::write_some() {
  const std::string_view part = long_->version->value().substr(long_->written, kPart);
  long_->json.bytes_part(part, long_->encoding);
  long_->written += part.size();
  spend(part.size() / kBytesPerVisit);
  if (long_->written < long_->version->value().size()) return;
  long_->json.end_bytes_member();
  append_version_fields(long_->json, *long_->version, content_);
  long_->json.end_object();
  text_ += '\n';
  long_.reset();
}

BodyStream::Cut RangeLines::cut(std::string& out) {
  if (!long_) {
    out.append(text_, text_at_);
    append_error_line(out, refused(node::Refusal::shutting_down));
  }
  return Cut::truncated;
}

}  // namespace vesper::api
