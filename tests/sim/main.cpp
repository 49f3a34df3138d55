// vesper-sim: runs simulated worlds by seed and prints what they exercised. Exit code 0 without a
// failure, 1 with one, 2 for wrong arguments.
#include <fmt/core.h>
#include <sys/resource.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "sim/commit.hpp"
#include "sim/runner.hpp"

namespace {

using namespace vesper::sim;

constexpr std::string_view kUsage =
    R"(usage: vesper-sim [--seeds N] [--first S] [--jobs J] [--json] [--keep-going N] [--no-shrink]
       vesper-sim --seed S [--trace] [--messages]
  both: [--servers 1|3|5|7] [--clients N] [--seconds N] [--without KIND,KIND...] [--flips]

  --seeds N      so many worlds, 100 unless said otherwise; --first S: of the seeds S, S+1, ...
  --jobs J       in J processes at a time
  --json         the summary as JSON on stdout, failures on stderr
  --keep-going N stops after N failures, 10 unless said otherwise
  --seed S       one world; --trace prints what happens in it, --messages every message, too
  --clients N    at most N clients; --seconds N: faults for at most N seconds
  --without ...  leaves out kinds of faults:
)";

struct Arguments {
  Options options;
  std::uint64_t first = 1, seeds = 100, jobs = 1, keep_going = 10;
  bool json = false, shrink = true, one = false;
};

template <typename T>
bool number(const char* text, T& out, std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = 0;
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || at != end || value < least || value > most) return false;
  out = static_cast<T>(value);
  return true;
}

bool kinds(std::string_view list, std::uint32_t& out) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const auto kind = fault_kind(list.substr(0, comma));
    if (!kind) return false;
    out |= 1u << static_cast<unsigned>(*kind);
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
  }
  return true;
}

bool parse_flag(std::string_view flag, Arguments& out) {
  if (flag == "--trace") return out.options.trace = true;
  if (flag == "--messages") return out.options.trace = out.options.messages = true;
  if (flag == "--flips") return out.options.flips = true;
  if (flag == "--plant") return out.options.plant = true;
  if (flag == "--json") return out.json = true;
  if (flag == "--no-shrink") return !(out.shrink = false);
  return false;
}

bool parse_value(std::string_view flag, const char* value, Arguments& out) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  Options& options = out.options;
  if (flag == "--seeds") return number(value, out.seeds, 1, kMost);
  if (flag == "--first") return number(value, out.first, 0, kMost);
  if (flag == "--jobs") return number(value, out.jobs, 1, 256);
  if (flag == "--keep-going") return number(value, out.keep_going, 1, kMost);
  if (flag == "--clients") return number(value, options.clients.emplace(), 0, 6);
  if (flag == "--seconds") return number(value, options.seconds.emplace(), 1, 3600);
  if (flag == "--without") return kinds(value, options.without);
  if (flag == "--servers")
    return number(value, options.servers.emplace(), 1, 7) && *options.servers % 2 == 1;
  if (flag == "--seed") {
    out.one = true;
    out.seeds = 1;
    return number(value, out.first, 0, kMost);
  }
  return false;
}

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (parse_flag(flag, out)) continue;
    if (i + 1 >= argc || !parse_value(flag, argv[++i], out)) {
      std::fprintf(stderr, "vesper-sim: unrecognized argument '%s'\n", argv[i]);
      return false;
    }
  }
  if (!out.options.trace || out.one) return true;
  std::fprintf(stderr, "vesper-sim: --trace is for one --seed\n");
  return false;
}

void usage(std::FILE* to) {
  std::string names;
  for (std::size_t i = 0; i < kFaultKinds; ++i)
    names += fmt::format("{}{}", i % 11 == 0 ? (i == 0 ? "      " : "\n      ") : " ",
                         name_of(static_cast<FaultKind>(i)));
  std::fprintf(to, "%s%s\n", std::string(kUsage).c_str(), names.c_str());
}

struct Summary {
  std::uint64_t seeds = 0;
  std::map<std::uint64_t, std::string> failures;
  Tally tally;
  double simulated = 0, wall = 0;
  double cpu = 0;           // CPU seconds of all processes together
  std::uint64_t trace = 0;  // of all worlds; independent of the order in which they end

  double speed() const { return wall > 0 ? simulated / wall : 0; }
  double events_per_second() const {
    return wall > 0 ? static_cast<double>(tally.of(Count::events)) / wall : 0;
  }
};

void print_json(const Summary& s) {
  std::string out = fmt::format(
      "{{\"seeds\":{},\"failures\":{},\"simulated_seconds\":{:.3f},\"wall_seconds\":{:.3f},\"cpu_"
      "seconds\":{:.3f},"
      "\"times_real_time\":{:.0f},\"events_per_second\":{:.0f},\"trace\":\"{:016x}\","
      "\"failed_seeds\":[",
      s.seeds, s.failures.size(), s.simulated, s.wall, s.cpu, s.speed(), s.events_per_second(),
      s.trace);
  bool first = true;
  for (const auto& [seed, why] : s.failures) {
    out += fmt::format("{}{}", first ? "" : ",", seed);
    first = false;
  }
  out += "],\"events\":{";
  for (std::size_t i = 0; i < kCounts; ++i)
    out += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", kCountNames[i], s.tally.counts[i]);
  std::printf("%s}}\n", out.c_str());
}

// Figures that differ from run to run go to `speed`.
void print_text(const Summary& s, std::FILE* speed) {
  for (std::size_t i = 0; i < kCounts; ++i)
    std::printf("%-24s %llu\n", std::string(kCountNames[i]).c_str(),
                static_cast<unsigned long long>(s.tally.counts[i]));
  std::fprintf(speed, "%.0f s simulated in %.1f s: %.0f times real time, %.0f events/s\n",
               s.simulated, s.wall, s.speed(), s.events_per_second());
  std::fprintf(speed, "%.1f s of processor: %.0f times real time, %.0f events/s on one core\n",
               s.cpu, s.simulated / s.cpu, static_cast<double>(s.tally.of(Count::events)) / s.cpu);
  std::printf("trace %016llx\n", static_cast<unsigned long long>(s.trace));
  std::printf("%llu passed, %llu failed\n",
              static_cast<unsigned long long>(s.seeds - s.failures.size()),
              static_cast<unsigned long long>(s.failures.size()));
}

void tell_failure(const Arguments& arguments, const Report& report, std::FILE* to) {
  std::fprintf(to, "seed %llu: %s\n", static_cast<unsigned long long>(report.seed),
               report.failure.c_str());
  Options options = arguments.options;
  options.seed = report.seed;
  if (arguments.shrink) options = shrink(options);
  const std::string arguments_of_seed = arguments_of(options);
  std::fprintf(to, "  replay: scripts/replay.sh %s\n  commit: %s\n",
               arguments_of_seed.c_str() + std::strlen("--seed "), kCommit);
  std::fflush(to);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--help" || std::string_view(argv[i]) == "-h") {
      usage(stdout);
      return 0;
    }
  if (!parse(argc, argv, arguments)) {
    usage(stderr);
    return 2;
  }
  vesper::log::init(vesper::log::Level::error, "");  // worlds write their own traces
  if (arguments.options.trace) std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  std::FILE* const to = arguments.json ? stderr : stdout;
  const auto began = std::chrono::steady_clock::now();
  Summary summary;
  run_worlds(arguments.options, arguments.first, arguments.seeds, arguments.jobs,
             [&](const Report& report) {
               ++summary.seeds;
               summary.tally.add(report.tally);
               summary.simulated += static_cast<double>(report.lasted.ns) / 1e9;
               summary.trace += (report.trace_hash ^ report.seed) * 0x9e3779b97f4a7c15;
               if (!report.failed()) return true;
               summary.failures[report.seed] = report.failure;
               if (arguments.options.trace)
                 std::printf("seed %llu: %s\n", static_cast<unsigned long long>(report.seed),
                             report.failure.c_str());
               else tell_failure(arguments, report, to);
               return summary.failures.size() < arguments.keep_going;
             });
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  summary.wall = wall.count();
  rusage used{};
  if (::getrusage(RUSAGE_CHILDREN, &used) == 0)
    summary.cpu = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                  static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  if (arguments.json) print_json(summary);
  else print_text(summary, arguments.options.trace ? stderr : stdout);
  return summary.failures.empty() ? 0 : 1;
}
