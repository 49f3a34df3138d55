// Any bytes, read as requests: no crash, and the same outcome however they are split. The first two
// bytes choose where the second of three readings is cut.
#include <cstdint>
#include <cstdlib>

#include "http/trace.hpp"

using namespace vesper::http;

namespace {

// Small, so that the fuzzer reaches them.
constexpr Limits kLimits{.max_target = 64, .max_header_bytes = 512, .max_header_fields = 12};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t cut = input.empty() ? 0 : (data[0] * 256u + data[1]) % input.size();

  Tracer whole(Parser::Kind::request, kLimits);
  whole.feed(input);
  whole.finish();
  Tracer halves(Parser::Kind::request, kLimits);
  halves.feed(input.substr(0, cut));
  halves.feed(input.substr(cut));
  halves.finish();
  Tracer bytes(Parser::Kind::request, kLimits);
  for (std::size_t i = 0; i < input.size(); ++i) bytes.feed(input.substr(i, 1));
  bytes.finish();
  if (whole.full() != halves.full() || whole.full() != bytes.full()) std::abort();
  return 0;
}
