// The text of ?next=: where the next page of a range begins, and at which revision. The client
// carries it, so that a page holds no memory of the server, and any node can serve the next one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace vesper::api {

struct PageToken {
  std::uint64_t revision = 0;  // of all pages
  std::uint64_t count = 0;     // keys in the whole range
  // The new start of the range, or its new end in descending order; 1 to kv::kMaxKey + 1 bytes.
  std::string resume;

  bool operator==(const PageToken&) const = default;
};

// What a token belongs to. `parameters` is a checksum of the parameters that all pages share.
struct PageScope {
  Id128 cluster;
  std::uint64_t parameters = 0;
};

// The text needs no encoding in a URL.
std::string encode_page_token(const PageToken& token, const PageScope& scope);
// The error says for people why the text is no token of this scope. The text is protected against
// accidents, not against forgers: the caller checks that `resume` lies in the range.
Result<PageToken> decode_page_token(std::string_view text, const PageScope& scope);

}  // namespace vesper::api
