// Runs a command for vesper lock, elect and watch --exec: a child process, and the signals that
// arrive meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vesper::app {

// While this exists, SIGINT, SIGTERM, SIGHUP and SIGCHLD have no effect but to be reported here.
// Signals that are ignored stay ignored.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Readable if a signal has come. -1: the system has no descriptor left.
  int fd() const { return fd_; }
  // A signal that has come; nothing: there is none.
  std::optional<int> next();

 private:
  int fd_ = -1;
};

class ChildProcess {
 public:
  // own: the child leads a process group, which is in the foreground of the terminal if this
  // process was, and gets SIGTERM when this process is killed. background: the same, but the
  // foreground of the terminal stays with this process.
  enum class Group : std::uint8_t { own, background, shared };
  struct Plan {
    std::vector<std::string> words;  // the program and its arguments; at least one
    // Variables to set, or to unset if there is no value.
    std::vector<std::pair<std::string, std::optional<std::string>>> environment;
    Group group = Group::shared;
    int input = -1;   // becomes stdin; -1: stdin is inherited
    int output = -1;  // becomes stdout and stderr; -1: they are inherited
    int kept = -1;    // stays open in the child, under this number; -1: none
  };

  ChildProcess() = default;
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Returns 0, or the errno of the failure. Call only once.
  int start(const Plan& plan);
  // Returns true if the child has ended. Call it after each SIGCHLD. If the
  // user has stopped the child in the foreground of the terminal (Ctrl-Z), this process stops, too,
  // until it goes on.
  bool has_ended();
  // Sends a signal to the child, or to its own group.
  void send(int signal) const;
  // True if processes of the child's own group are left.
  bool has_group() const;

  // Once ended: the exit code, or 128 plus the number of the signal that ended it.
  int exit_code() const;

 private:
  void stop_with_child();
  void give_terminal(pid_t group) const;

  pid_t pid_ = -1;
  Group group_ = Group::shared;
  bool has_terminal_ = false;
  bool ended_ = false;
  int status_ = 0;
};

// Runs a command that gets `input` on stdin, and waits for its end. Signals wait until then, but
// SIGTERM and SIGHUP are passed on.
struct RunEnd {
  int error = 0;             // an errno: it could not be started
  int exit_code = 0;         // else
  bool interrupted = false;  // a signal came that ends this process
};
RunEnd run_with_input(ChildProcess::Plan plan, std::string_view input);

// The exit code of a shell for a program that could not be started.
int exit_code_of_start(int error);

// Ends this process as the signal does.
[[noreturn]] void die_by(int signal);

}  // namespace vesper::app
