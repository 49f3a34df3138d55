#include "app/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "app/terminal.hpp"

namespace vesper::app {
namespace {

constexpr int kReported[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void change_mask(int how, std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  sigprocmask(how, &set, nullptr);
}

void apply_environment(const ChildProcess::Plan& plan) {
  for (const auto& [name, value] : plan.environment) {
    if (value) setenv(name.c_str(), value->c_str(), 1);
    else unsetenv(name.c_str());
  }
}

// Runs in the child. Reports the errno through `failure` if the program cannot be executed.
[[noreturn]] void become(const ChildProcess::Plan& plan, bool takes_terminal, pid_t parent,
                         int failure) {
  if (plan.group != ChildProcess::Group::shared) {
    setpgid(0, 0);
    // A process in the background that does this would be stopped by SIGTTOU.
    change_mask(SIG_BLOCK, {SIGTTOU});
    if (takes_terminal) tcsetpgrp(STDIN_FILENO, getpid());
    // Nobody renews the lock of a command whose parent was killed, or ends a cluster that was
    // started to play with.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(128 + SIGTERM);  // it was killed before prctl()
  }
  if (plan.input >= 0) dup2(plan.input, STDIN_FILENO);
  if (plan.output >= 0) {
    dup2(plan.output, STDOUT_FILENO);
    dup2(plan.output, STDERR_FILENO);
  }
  if (plan.kept >= 0) fcntl(plan.kept, F_SETFD, 0);
  apply_environment(plan);
  for (const int signal : kReported)
    if (!is_ignored(signal)) std::signal(signal, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  change_mask(SIG_UNBLOCK, {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGTTOU});
  std::vector<char*> words;
  for (const std::string& word : plan.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  const int code = errno;
  const ssize_t wrote = write(failure, &code, sizeof code);
  _exit(wrote == sizeof code ? 127 : 126);
}

}  // namespace

// ---- Signals ------------------------------------------------------------------------------

Signals::Signals() {
  std::signal(SIGCHLD, SIG_DFL);  // if it was ignored, children could not be waited for
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kReported)
    if (!is_ignored(signal)) sigaddset(&set, signal);
  fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd_ >= 0) sigprocmask(SIG_BLOCK, &set, nullptr);
}

Signals::~Signals() {
  if (fd_ < 0) return;
  close(fd_);
  change_mask(SIG_UNBLOCK, {SIGINT, SIGTERM, SIGHUP, SIGCHLD});
}

std::optional<int> Signals::next() {
  signalfd_siginfo info{};
  if (read(fd_, &info, sizeof info) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

void die_by(int signal) {
  std::signal(signal, SIG_DFL);
  change_mask(SIG_UNBLOCK, {signal});
  raise(signal);
  _exit(128 + signal);
}

// ---- ChildProcess -------------------------------------------------------------------------

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || ended_) return;
  send(SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  give_terminal(getpgrp());
}

int ChildProcess::start(const Plan& plan) {
  group_ = plan.group;
  has_terminal_ =
      group_ == Group::own && is_terminal(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(plan, has_terminal_, parent, ends[1]);
  int code = pid_ < 0 ? errno : 0;
  close(ends[1]);
  if (pid_ > 0) {
    if (group_ != Group::shared) setpgid(pid_, pid_);  // whichever runs first
    ssize_t got = 0;
    while ((got = read(ends[0], &code, sizeof code)) < 0 && errno == EINTR) continue;
    if (got == sizeof code) {
      while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
      give_terminal(getpgrp());
      pid_ = -1;
    }
  }
  close(ends[0]);
  return code;
}

bool ChildProcess::has_ended() {
  while (pid_ > 0 && !ended_) {
    int status = 0;
    const pid_t found = waitpid(pid_, &status, WNOHANG | WUNTRACED);
    if (found != pid_) break;
    if (WIFSTOPPED(status)) {
      if (has_terminal_) stop_with_child();
      continue;
    }
    status_ = status;
    ended_ = true;
    give_terminal(getpgrp());
  }
  return ended_;
}

// The shell then shows its prompt, and `fg` continues both.
void ChildProcess::stop_with_child() {
  give_terminal(getpgrp());
  raise(SIGSTOP);
  if (tcgetpgrp(STDIN_FILENO) == getpgrp()) give_terminal(pid_);
  send(SIGCONT);
}

void ChildProcess::give_terminal(pid_t group) const {
  if (!has_terminal_) return;
  change_mask(SIG_BLOCK, {SIGTTOU});
  tcsetpgrp(STDIN_FILENO, group);
  change_mask(SIG_UNBLOCK, {SIGTTOU});
}

void ChildProcess::send(int signal) const {
  if (pid_ <= 0) return;
  // The group may outlive the child, but the child's own number may be in use again.
  if (group_ != Group::shared) kill(-pid_, signal);
  else if (!ended_) kill(pid_, signal);
}

bool ChildProcess::has_group() const {
  return pid_ > 0 && group_ != Group::shared && kill(-pid_, 0) == 0;
}

int ChildProcess::exit_code() const {
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

RunEnd run_with_input(ChildProcess::Plan plan, std::string_view input) {
  RunEnd end;
  Signals signals;
  int ends[2];
  if (signals.fd() < 0 || pipe2(ends, O_CLOEXEC) != 0) {
    end.error = EMFILE;
    return end;
  }
  plan.input = ends[0];
  ChildProcess child;
  end.error = child.start(plan);
  close(ends[0]);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (end.error == 0 && !child.has_ended()) {
    // poll() ignores a descriptor of -1.
    pollfd polled[2] = {{signals.fd(), POLLIN, 0}, {ends[1], POLLOUT, 0}};
    poll(polled, 2, -1);
    if (polled[1].revents != 0) {
      const ssize_t wrote = write(ends[1], input.data(), input.size());
      if (wrote > 0) input.remove_prefix(static_cast<std::size_t>(wrote));
      // A program need not read its input.
      const bool failed = wrote < 0 && errno != EAGAIN && errno != EINTR;
      if (failed || input.empty()) {
        close(ends[1]);
        ends[1] = -1;
      }
    }
    while (const auto signal = signals.next()) {
      if (*signal == SIGCHLD) continue;
      end.interrupted = true;
      if (*signal != SIGINT) child.send(*signal);  // the terminal sends SIGINT to both
    }
  }
  if (ends[1] >= 0) close(ends[1]);
  if (end.error == 0) end.exit_code = child.exit_code();
  return end;
}

int exit_code_of_start(int error) {
  return error == ENOENT ? 127 : 126;
}

}  // namespace vesper::app
