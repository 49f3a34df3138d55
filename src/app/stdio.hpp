// Exit codes, and the standard streams of the commands. Writing never throws and raises no SIGPIPE.
// Failed output to stdout changes the exit code; failed output to stderr is ignored.
#pragma once

#include <string_view>

namespace vesper::app {

enum ExitCode : int {
  kExitOk = 0,
  kExitError = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitPrecondition = 4,
  kExitUnavailable = 5,   // nothing was applied
  kExitUnknown = 6,       // a write with unknown outcome
  kExitUnauthorized = 7,  // the token is missing, wrong, or lacks a right; nothing was applied
  kExitLockLost = 125,    // the lock was lost, and the command that ran with it was ended
};

// Call first in main(). If one of the descriptors 0 to 2 is closed, the next file or socket opened
// would get its number and then receive output meant for stdout or stderr. This opens such a
// descriptor in the wrong direction instead, so that reads and writes fail with EBADF as on a
// closed one.
void prepare_standard_descriptors();

// Writes all bytes to stdout and returns `code`. If that fails, reports it on stderr, followed by
// `lost_hint` unless it is empty, and turns kExitOk into kExitError. Any other `code` is kept,
// because it says more.
int print(std::string_view bytes, int code = kExitOk, std::string_view lost_hint = {});
// A hint for print() after a successful write, because exit code 1 alone would suggest that it
// failed.
inline constexpr std::string_view kTookEffect = "the write took effect; only its reply is lost";

// Prints one line "vesper: ..." to stderr: why a command failed.
void complain(std::string_view line);
// The same for what is no failure.
void note(std::string_view line);
// Prints one line "hint: ..." to stderr.
void hint(std::string_view line);
// Prints to stderr unchanged.
void print_error(std::string_view bytes);

}  // namespace vesper::app
