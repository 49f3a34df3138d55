// vesper-sim: runs simulated worlds by seed and says what they exercised.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/log.hpp"
#include "sim/world.hpp"

namespace {

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 100;
  bool trace = false;
};

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool has_value = i + 1 < argc;
    if (flag == "--trace") {
      out.trace = true;
    } else if (flag == "--seeds" && has_value) {
      out.seeds = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--first" && has_value) {
      out.first = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--seed" && has_value) {
      out.first = std::strtoull(argv[++i], nullptr, 10);
      out.seeds = 1;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: vesper-sim [--seeds N] [--first S] [--seed S] [--trace]\n");
    return 2;
  }
  vesper::log::init(vesper::log::Level::error, "");  // worlds trace what they do themselves
  std::uint64_t failures = 0;
  vesper::sim::Tally total;
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    vesper::sim::Options options;
    options.seed = seed;
    options.trace = arguments.trace;
    vesper::sim::World world(options);
    if (const auto failure = world.run()) {
      ++failures;
      std::printf("seed %llu: %s\n  replay: vesper-sim --seed %llu --trace\n",
                  static_cast<unsigned long long>(seed), failure->c_str(),
                  static_cast<unsigned long long>(seed));
    }
    for (const auto& [kind, count] : world.tally().events) total.count(kind, count);
  }
  for (const auto& [kind, count] : total.events)
    std::printf("%-20s %llu\n", kind.c_str(), static_cast<unsigned long long>(count));
  std::printf("%llu passed, %llu failed\n",
              static_cast<unsigned long long>(arguments.seeds - failures),
              static_cast<unsigned long long>(failures));
  return failures == 0 ? 0 : 1;
}
