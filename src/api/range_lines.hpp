// A range as NDJSON, produced while it is sent: one line for each key, at one revision, while
// writes go on. A slow reader costs memory for one piece of the text, and for the versions that the
// range holds.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "api/body_stream.hpp"
#include "api/version_parts.hpp"
#include "json/writer.hpp"
#include "kv/operation.hpp"
#include "kv/range_reader.hpp"

namespace vesper::api {

class RangeLines final : public BodyStream {
 public:
  // The range must outlive this object. `now`: when it was asked for, by the cluster's clock; what
  // is left of a time to live counts from there.
  RangeLines(kv::RangeStream& range, const kv::RangeQuery& query, kv::LogTime now)
      : range_(range), content_(query.content), order_(query.order), now_(now) {}

  Next next(std::size_t room, std::string& out) override;
  // The stream ends with an error line, unless it was cut inside of a long line.
  Cut cut(Why why, std::string& out) override;

 private:
  // A value that is too long to be rendered at once.
  struct LongValue {
    LongValue(VersionParts of, json::Writer to) : parts(std::move(of)), json(to) {}

    VersionParts parts;
    json::Writer json;
  };

  void fill(std::size_t room);
  bool read_some();
  bool append_next_line();
  void append_line(const kv::VersionRef& version);
  bool next_is_prefix() const;
  void write_some();
  void spend(std::size_t work) { work_ -= std::min(work_, work); }

  kv::RangeStream& range_;
  const kv::Content content_;
  const kv::Order order_;
  const kv::LogTime now_;
  // What was read and is not rendered yet.
  kv::RangeResult page_;
  std::size_t kv_at_ = 0, prefix_at_ = 0;
  bool is_read_ = false;  // the whole range
  std::optional<LongValue> long_;
  // What was rendered and is not taken yet, from text_at_ on.
  std::string text_;
  std::size_t text_at_ = 0;
  std::size_t work_ = 0;  // left for this call, in visited keys
};

}  // namespace vesper::api
