#include "api/range_lines.hpp"

#include <algorithm>

#include "api/problem.hpp"
#include "api/render.hpp"

namespace vesper::api {
namespace {

constexpr std::size_t kWork = 4096;         // of one call, in visited keys
constexpr std::size_t kVisitsAtOnce = 512;  // so that few versions wait to be rendered

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
    if (long_) write_some();
    else if (!append_next_line() && !read_some()) return;
  }
}

// Reads on. Returns false at the end of the range.
bool RangeLines::read_some() {
  if (is_read_) return false;
  const std::size_t visits = std::min(work_, kVisitsAtOnce);
  page_ = range_.next(visits, VersionParts::kLongValue, is_read_);
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
  if (content_ == kv::Content::values && version->value().size() > VersionParts::kLongValue) {
    long_.emplace(VersionParts(version, content_, now_), json::Writer(text_));
    long_->json.begin_object();
    return;
  }
  json::Writer json(text_);
  append_version(json, *version, content_, now_);
  text_ += '\n';
}

void RangeLines::write_some() {
  if (!long_->parts.append_some(long_->json, work_)) return;
  long_->json.end_object();
  text_ += '\n';
  long_.reset();
}

BodyStream::Cut RangeLines::cut(Why why, std::string& out) {
  if (!long_) {
    out.append(text_, text_at_);
    append_error_line(out, refused(why == Why::shutting_down ? node::Refusal::shutting_down
                                                             : node::Refusal::unauthorized));
  }
  return Cut::truncated;
}

}  // namespace vesper::api
