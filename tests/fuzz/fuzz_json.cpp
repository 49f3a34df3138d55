// libFuzzer: JSON from outside is read without a fault, and what is taken is stable: a value that
// was stored comes back, and the document reader and the request reader agree on what is JSON.
#include <cstdint>
#include <cstdlib>

#include "json/document.hpp"
#include "json/request.hpp"
#include "json/text.hpp"
#include "json/writer.hpp"

using namespace vesper;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Compact text is its own compact text.
void check_compact(std::string_view text) {
  std::string once;
  if (json::compact(text, once)) return;
  require(once.size() <= text.size());
  require(json::is_utf8(once));
  std::string twice;
  require(!json::compact(once, twice));
  require(once == twice);
}

void check_request(std::string_view text, json::RequestKind kind) {
  json::Request request;
  std::string ignored;
  const bool is_json = !json::compact(text, ignored);
  if (const auto problem = json::read_request(text, kind, request)) {
    require(problem->offset <= text.size());
    require(!problem->detail.empty());
    return;
  }
  require(is_json);
  require(!request.key.empty() && request.key.size() <= json::kMaxKey);
  require(json::is_utf8(request.key) && json::is_utf8(request.value));
  std::string body = "{\"payload\":";
  json::Writer w(body);
  w.begin_object();
  w.key("key");
  w.string(request.key);
  w.key("value");
  if (request.value_is_json) w.raw(request.value);
  else w.string(request.value);
  w.end_object();
  body += '}';
  json::Request again;
  require(!json::read_request(body, json::RequestKind::put, again));
  require(again.key == request.key);
  if (kind == json::RequestKind::put) require(again.value == request.value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_compact(text);
  check_request(text, json::RequestKind::put);
  check_request(text, json::RequestKind::get);

  json::Document document;
  std::string ignored;
  if (!document.parse(text)) require(!json::compact(text, ignored));

  if (const auto bytes = json::decode_base64(text)) {
    std::string back;
    json::append_base64(back, *bytes);
    require(back == text);
  }
  return 0;
}
