// Lines to a pipe that is full, gone or given back, and to what is no pipe.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/assert.hpp"
#include "base/log_output.hpp"

using vesper::log::LogOutput;

namespace {

std::string notice(std::uint64_t dropped) {
  return "dropped " + std::to_string(dropped) + "\n";
}

std::string line(int number) {
  return "line " + std::to_string(number) + " " + std::string(100, 'x') + "\n";
}

// Two ends of a pipe of one page, or of a socket.
struct Ends {
  enum class Kind { pipe, socket };
  explicit Ends(Kind kind) {
    std::signal(SIGPIPE, SIG_IGN);
    if (kind == Kind::pipe) {
      REQUIRE(::pipe(fds) == 0);
      ::fcntl(fds[1], F_SETPIPE_SZ, 4096);
    } else {
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    }
  }
  ~Ends() {
    close_reader();
    ::close(fds[1]);
  }
  void close_reader() {
    if (fds[0] >= 0) ::close(fds[0]);
    fds[0] = -1;
  }
  // What is there now, up to so many bytes.
  std::string read(std::size_t most = 1u << 20) {
    std::string all;
    char buffer[4096];
    ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
    while (all.size() < most) {
      const auto got = ::read(fds[0], buffer, std::min(sizeof buffer, most - all.size()));
      if (got <= 0) break;
      all.append(buffer, static_cast<std::size_t>(got));
    }
    return all;
  }
  int writer() const { return fds[1]; }
  int fds[2];
};

// Everything that the reader gets while the output has something.
std::string drain(Ends& ends, LogOutput& output) {
  std::string all = ends.read();
  while (output.waiting()) {
    output.flush();
    all += ends.read();
  }
  return all + ends.read();
}

}  // namespace

TEST_CASE(
    "a full pipe or socket blocks no writer, and a line reports how many lines were dropped") {
  for (const auto kind : {Ends::Kind::pipe, Ends::Kind::socket}) {
    Ends ends(kind);
    const int flags = ::fcntl(ends.writer(), F_GETFL);
    LogOutput output(ends.writer(), notice);
    output.stop_blocking();
    constexpr int kLines = 10'000;
    for (int i = 0; i < kLines; ++i) output.write(line(i));
    CHECK(output.waiting());
    CHECK(output.dropped() > 1000);
    CHECK(::fcntl(ends.writer(), F_GETFL) == flags);

    const std::uint64_t dropped = output.dropped();
    std::string expected;
    for (int i = 0; i < kLines - static_cast<int>(dropped); ++i) expected += line(i);
    expected += notice(dropped);
    CHECK(drain(ends, output) == expected);
    output.write(line(kLines));
    CHECK(drain(ends, output) == line(kLines));
    CHECK(output.dropped() == dropped);
  }
}

TEST_CASE("a reader that takes a few bytes at a time gets whole lines in their order") {
  Ends ends(Ends::Kind::socket);
  LogOutput output(ends.writer(), notice);
  output.stop_blocking();
  std::string all;
  for (int i = 0; i < 20'000; ++i) {
    output.write(line(i));
    all += ends.read(70);
  }
  all += drain(ends, output);
  std::string expected;
  std::uint64_t dropped = 0;
  int next = 0;
  for (std::size_t at = 0; at < all.size();) {
    const std::string found = all.substr(at, all.find('\n', at) + 1 - at);
    at += found.size();
    if (found.starts_with("dropped ")) {
      const auto gap = std::stoull(found.substr(8));
      dropped += gap;
      next += static_cast<int>(gap);
    } else {
      REQUIRE(found == line(next++));
    }
  }
  CHECK(dropped > 0);
  CHECK(next == 20'000);
  CHECK(dropped == output.dropped());
}

TEST_CASE("a pipe without a reader drops each line and counts it") {
  Ends ends(Ends::Kind::pipe);
  LogOutput output(ends.writer(), notice);
  output.stop_blocking();
  ends.close_reader();
  for (int i = 0; i < 10; ++i) output.write(line(i));
  CHECK(output.dropped() == 10);
  CHECK(!output.waiting());
}

TEST_CASE("a full disk drops lines, and a line reports how many once there is space") {
  const int fd = ::open("/dev/full", O_WRONLY);
  REQUIRE(fd >= 0);
  LogOutput output(fd, notice);
  output.stop_blocking();
  output.write(line(0));
  output.write(line(1));
  CHECK(output.dropped() == 2);

  // The same descriptor, now of another file, as if there was space.
  char path[] = "/tmp/vesper-log-XXXXXX";
  const int file = ::mkstemp(path);
  REQUIRE(file >= 0);
  ::unlink(path);
  ::dup2(file, fd);
  output.stop_blocking();
  output.write(line(2));
  CHECK(output.dropped() == 2);
  char buffer[4096];
  const auto got = ::pread(file, buffer, sizeof buffer, 0);
  CHECK(std::string(buffer, static_cast<std::size_t>(got)) == notice(2) + line(2));
  ::close(file);
  ::close(fd);
}

TEST_CASE("a descriptor that is open for reading only is not written to") {
  const int fd = ::open("/dev/null", O_RDONLY);
  LogOutput output(fd, notice);
  output.stop_blocking();
  output.write(line(0));
  CHECK(output.dropped() == 1);
  ::close(fd);
}

TEST_CASE("finish() writes the backlog to a live reader and does not wait for a stuck one") {
  Ends ends(Ends::Kind::pipe);
  LogOutput output(ends.writer(), notice);
  output.stop_blocking();
  std::string expected;
  for (int i = 0; i < 60; ++i) {
    output.write(line(i));
    expected += line(i);
  }
  REQUIRE(output.waiting());
  output.finish();  // comes back
  CHECK(output.waiting());
  CHECK(drain(ends, output) == expected);
}

TEST_CASE("a failed assertion ends the process even if its message has no reader") {
  Ends ends(Ends::Kind::pipe);
  LogOutput output(ends.writer(), notice);
  output.stop_blocking();
  while (!output.waiting()) output.write(line(0));
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends.writer(), STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);  // doctest's own writes a report
    VESPER_ASSERT(child != 0);
  }
  int status = 0;
  for (int i = 0; i < 500 && ::waitpid(child, &status, WNOHANG) == 0; ++i) ::usleep(10'000);
  const bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  if (!aborted) ::kill(child, SIGKILL);
  CHECK(aborted);
}
