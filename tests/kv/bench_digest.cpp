// What the digest of the store costs a put: it has a new version and loses the one before. Run by
// hand.
//   ninja -C build tests/kv/bench_digest && build/tests/kv/bench_digest [VALUE-BYTES]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "kv/digest.hpp"
#include "kv/version.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

constexpr std::size_t kPuts = 1'000'000;

// Of the processor.
double now_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

// Nanoseconds for each of a million puts to `keys` keys in random order.
double time_of(std::size_t keys, std::size_t bytes) {
  std::vector<VersionRef> versions;
  for (std::size_t i = 0; i < keys; ++i) {
    VersionFields fields;
    fields.revision = fields.create_revision = i + 2;
    fields.version = 1;
    versions.push_back(Version::make("key" + std::to_string(i), std::string(bytes, 'x'), fields));
  }
  std::mt19937_64 draw(1);
  std::vector<std::size_t> puts(kPuts);
  for (std::size_t& at : puts) at = draw() % keys;
  Id128 digest;
  const double began = now_ns();
  for (const std::size_t at : puts) {
    digest = minus(digest, versions[at]->digest());
    digest = plus(digest, versions[at]->recomputed_digest());
  }
  const double took = now_ns() - began;
  if (!digest.is_none()) std::abort();
  return took / static_cast<double>(kPuts);
}

}  // namespace

int main(int count, char** arguments) {
  const std::size_t bytes = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 256;
  std::printf("digest of a put of %zu bytes: %.0f ns among 100,000 keys, %.0f ns among 1,000\n",
              bytes, time_of(100'000, bytes), time_of(1'000, bytes));
  return 0;
}
