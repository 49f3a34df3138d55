// Run by hand: what a token costs a write, in nanoseconds of the processor.
//
//   ninja -C build tests/kv/bench_replies && build/tests/kv/bench_replies
#include <cstdio>
#include <string>
#include <vector>

#include "kv/store.hpp"
#include "support/bench.hpp"

using namespace vesper;
using test::measure;

namespace {

constexpr std::size_t kWrites = kv::kMaxIdempotencyKeys;
constexpr std::size_t kKeys = 10'000;

// Tokens that are drawn come in no order.
std::string token(std::size_t i) {
  return to_hex(kv::fingerprint_of("", std::to_string(i), {}, ""));
}

}  // namespace

int main() {
  const std::string value(100, 'v');
  std::vector<std::string> keys, tokens;
  for (std::size_t i = 0; i < kKeys; ++i) keys.push_back("key" + std::to_string(i));
  for (std::size_t i = 0; i < 2 * kWrites; ++i) tokens.push_back(token(i));
  std::vector<SharedBytes> plain(kWrites), keyed(2 * kWrites);
  measure("encode, without a token", kWrites, [&](std::size_t i) {
    plain[i] =
        SharedBytes::copy_of(kv::encode_put(keys[i % kKeys], value, kv::ValueForm::bytes, {}));
  });
  measure("encode, with a token and a fingerprint", 2 * kWrites, [&](std::size_t i) {
    const std::string& key = keys[i % kKeys];
    const kv::IdempotencyKey id{tokens[i], kv::fingerprint_of("PUT", "/kv/" + key, {}, value)};
    keyed[i] = SharedBytes::copy_of(kv::encode_put(key, value, kv::ValueForm::bytes, {}, id));
  });

  kv::Store store;
  const auto apply = [&](const SharedBytes& command, std::int64_t s) {
    const auto result = store.apply(command, kv::LogTime(s * 1'000'000'000), 1);
    VESPER_ASSERT(result.ok());
  };
  // The first round makes the keys.
  for (std::size_t i = 0; i < kKeys; ++i) apply(plain[i], 0);
  measure("apply, without a token", kWrites, [&](std::size_t i) { apply(plain[i], 0); });
  measure("apply, new tokens fill the table", kWrites, [&](std::size_t i) { apply(keyed[i], 1); });
  measure("apply, without a token beside a full table", kWrites,
          [&](std::size_t i) { apply(plain[i], 2); });
  measure("apply, known tokens", kWrites, [&](std::size_t i) { apply(keyed[i], 3); });
  measure("apply, new tokens while old ones are forgotten", kWrites,
          [&](std::size_t i) { apply(keyed[kWrites + i], 604); });
  std::printf("%zu replies are kept\n", store.idempotency_table().size());
}
