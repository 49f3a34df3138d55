// Writes a version with a long value piece by piece, so that no step takes long and no more than a
// piece of the text has to be held.
#pragma once

#include <cstddef>
#include <utility>

#include "json/writer.hpp"
#include "kv/operation.hpp"
#include "kv/version.hpp"

namespace vesper::api {

class VersionParts {
 public:
  // Longer values are written in parts; the others at once. In bytes.
  static constexpr std::size_t kLongValue = 16u << 10;

  // `now`: what is left of a time to live counts from this instant of the cluster's clock.
  VersionParts(kv::VersionRef version, kv::Content content, kv::LogTime now)
      : version_(std::move(version)), content_(content), now_(now) {}

  // Appends more of the members that append_version() writes. Returns true once all are there.
  // Lowers `work` by what it did, in visited keys (kv::RangeReader::run).
  bool append_some(json::Writer& json, std::size_t& work);

 private:
  using Encoding = json::Writer::Encoding;
  bool check_some(std::size_t& work);

  kv::VersionRef version_;
  kv::Content content_;
  kv::LogTime now_;
  Encoding encoding_ = Encoding::utf8;
  std::size_t checked_ = 0;  // bytes that are known to be UTF-8
  bool is_checked_ = false;  // the encoding is known
  std::size_t written_ = 0;
};

}  // namespace vesper::api
