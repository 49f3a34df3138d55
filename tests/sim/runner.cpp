#include "sim/runner.hpp"

#include <fmt/core.h>
#include <malloc.h>
#include <poll.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <vector>

#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr int kSecondsEach = 60;  // of processor time; a world that takes longer is a failure
constexpr std::uint64_t kBatch = 16;
constexpr auto kShrinkFor = std::chrono::seconds(60);

// What a child writes for each world, followed by the text of the failure.
struct Head {
  std::uint64_t seed;
  std::uint64_t failure_size;
  std::int64_t lasted;
  std::uint64_t trace_hash;
  Tally tally;
};

struct Range {
  std::uint64_t first, end;
};

struct Worker {
  pid_t pid = -1;
  int from = -1;              // the read end of its pipe
  std::FILE* said = nullptr;  // its stderr
  std::uint64_t next = 0;     // the seed of its current world
  std::uint64_t end = 0;
  std::string buffer;
};

void write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) ::_exit(3);
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

// Ends the process with SIGPROF when it has used the processor for that long. 0: never. Real time
// would make a failure of a machine that is busy with other work.
void limit_time(int seconds) {
  const itimerval limit{{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

[[noreturn]] void child(Options options, Range range, int to) {
  // Keep freed memory for the next world instead of returning it to the kernel.
  ::mallopt(M_MMAP_THRESHOLD, 64 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
  for (std::uint64_t seed = range.first; seed < range.end; ++seed) {
    limit_time(options.trace ? 0 : kSecondsEach);
    options.seed = seed;
    World world(options);
    const std::string failure = world.run().value_or("");
    const Head head{seed, failure.size(), world.lasted().ns, world.trace_hash(), world.tally()};
    write_all(to, reinterpret_cast<const char*>(&head), sizeof(head));
    write_all(to, failure.data(), failure.size());
  }
  std::fflush(stdout);
  ::_exit(0);
}

Worker start(const Options& options, Range range) {
  Worker worker;
  worker.next = range.first;
  worker.end = range.end;
  worker.said = std::tmpfile();
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0 || worker.said == nullptr) {
    std::perror("vesper-sim");
    std::exit(1);
  }
  std::fflush(stdout);
  worker.pid = ::fork();
  if (worker.pid < 0) {
    std::perror("vesper-sim: fork");
    std::exit(1);
  }
  if (worker.pid == 0) {
    ::close(ends[0]);
    if (!options.trace) ::dup2(::fileno(worker.said), STDERR_FILENO);
    child(options, range, ends[1]);
  }
  ::close(ends[1]);
  worker.from = ends[0];
  return worker;
}

// The first line that mentions an assertion, or the last line.
std::string last_words(std::FILE* said) {
  std::rewind(said);
  std::array<char, 512> line{};
  std::string words;
  while (std::fgets(line.data(), static_cast<int>(line.size()), said) != nullptr) {
    words = line.data();
    if (words.find("assert") != std::string::npos) break;
  }
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

std::string how_it_ended(Worker& worker) {
  int status = 0;
  while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
    return fmt::format("hangs: did not end within {} s of processor time", kSecondsEach);
  const int code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  return fmt::format("the process ended with {} {}: {}", WIFSIGNALED(status) ? "signal" : "exit",
                     code, last_words(worker.said));
}

class Crew {
 public:
  Crew(const Options& options, std::size_t jobs, const std::function<bool(const Report&)>& done)
      : options_(options), jobs_(jobs), done_(done) {}

  void run(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t end = first + count;
    const std::uint64_t batch = std::clamp<std::uint64_t>(count / (jobs_ * 4), 1, kBatch);
    for (std::uint64_t seed = first; seed < end; seed += batch)
      ranges_.push_back({seed, std::min(end, seed + batch)});
    while (go_on_ && (!ranges_.empty() || !workers_.empty())) {
      while (workers_.size() < jobs_ && !ranges_.empty()) {
        workers_.push_back(start(options_, ranges_.front()));
        ranges_.pop_front();
      }
      wait();
    }
    for (Worker& worker : workers_) {
      ::kill(worker.pid, SIGKILL);
      end_of(worker);
    }
  }

 private:
  void wait() {
    std::vector<pollfd> polled;
    for (const Worker& worker : workers_) polled.push_back({worker.from, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) return;
    for (std::size_t i = polled.size(); i-- > 0;) {
      if (polled[i].revents == 0) continue;
      if (read(workers_[i])) continue;
      buried(workers_[i]);
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  // Returns false at the end of the pipe.
  bool read(Worker& worker) {
    std::array<char, 8192> bytes{};
    const ssize_t n = ::read(worker.from, bytes.data(), bytes.size());
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (n == 0) return false;
    worker.buffer.append(bytes.data(), static_cast<std::size_t>(n));
    Head head;
    while (worker.buffer.size() >= sizeof(head)) {
      std::memcpy(&head, worker.buffer.data(), sizeof(head));
      const std::size_t size = sizeof(head) + head.failure_size;
      if (worker.buffer.size() < size) break;
      tell({head.seed, worker.buffer.substr(sizeof(head), head.failure_size), head.tally,
            Duration{head.lasted}, head.trace_hash});
      worker.buffer.erase(0, size);
      worker.next = head.seed + 1;
    }
    return true;
  }

  void buried(Worker& worker) {
    const std::string end = how_it_ended(worker);
    if (worker.next < worker.end) {
      Report report;
      report.seed = worker.next;
      report.failure = end;
      report.tally.count(Count::worlds);
      tell(report);
      if (worker.next + 1 < worker.end) ranges_.push_front({worker.next + 1, worker.end});
    }
    ::close(worker.from);
    std::fclose(worker.said);
  }

  static void end_of(Worker& worker) {
    how_it_ended(worker);
    ::close(worker.from);
    std::fclose(worker.said);
  }

  void tell(const Report& report) { go_on_ = done_(report) && go_on_; }

  const Options& options_;
  const std::size_t jobs_;
  const std::function<bool(const Report&)>& done_;
  std::deque<Range> ranges_;
  std::vector<Worker> workers_;
  bool go_on_ = true;
};

bool still_fails(const Options& options) {
  bool failed = false;
  run_worlds(options, options.seed, 1, 1, [&](const Report& report) {
    failed = report.failed();
    return true;
  });
  return failed;
}

}  // namespace

void run_worlds(const Options& options, std::uint64_t first, std::uint64_t count, std::size_t jobs,
                const std::function<bool(const Report&)>& done) {
  Crew(options, jobs, done).run(first, count);
}

Options shrink(Options failing) {
  const auto until = std::chrono::steady_clock::now() + kShrinkFor;
  failing.trace = failing.messages = false;
  const auto keep = [&](const Options& smaller) {
    if (std::chrono::steady_clock::now() > until || !still_fails(smaller)) return;
    failing = smaller;
  };
  const auto fewer_kinds = [&] {
    for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
      if (failing.leaves_out(static_cast<FaultKind>(kind))) continue;
      Options smaller = failing;
      smaller.without |= 1u << kind;
      keep(smaller);
    }
  };
  const auto less = [&](auto member, std::initializer_list<int> candidates, std::size_t now) {
    for (const int candidate : candidates) {
      if (static_cast<std::size_t>(candidate) >= now) break;
      Options smaller = failing;
      smaller.*member = static_cast<unsigned>(candidate);
      const Options before = failing;
      keep(smaller);
      if (failing.*member != before.*member) break;
    }
  };
  fewer_kinds();
  const Plan plan = make_plan(failing);
  less(&Options::clients, {0, 1, 2, 3, 4, 5}, plan.clients);
  less(&Options::servers, {1, 3, 5}, plan.servers);
  less(&Options::seconds, {1, 2, 3, 4, 6, 8, 11, 15, 20},
       static_cast<std::size_t>(plan.faults.ns / seconds(1).ns));
  fewer_kinds();
  return failing;
}

}  // namespace vesper::sim
