// Exit codes, and the standard streams of the commands. Writes never throw and raise no SIGPIPE:
// what cannot be written decides the exit code (stdout) or is lost (stderr).
#pragma once

#include <string_view>

namespace vesper::app {

enum ExitCode : int {
  kExitOk = 0,
  kExitError = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitPrecondition = 4,
  kExitUnavailable = 5,  // nothing was applied
  kExitUnknown = 6,      // a write whose fate is unknown
};

// First thing in main(). A descriptor from 0 to 2 that is closed would be given to the next file or
// socket that is opened, which would then receive what is meant for stdout or stderr. It is opened
// in the wrong direction instead: reads and writes fail with EBADF, as on a closed one.
void prepare_standard_descriptors();

// Writes all of it to stdout and returns `code`. If that fails, it says so on stderr, with
// `lost_hint` (if any), and turns kExitOk into kExitError. Another code stands: it says more.
int print(std::string_view bytes, int code = kExitOk, std::string_view lost_hint = {});
// For print(), of a write that succeeded: exit code 1 alone would not tell.
inline constexpr std::string_view kTookEffect = "the write took effect; only its reply is lost";

// One line "vesper: ..." to stderr.
void complain(std::string_view line);
// One line "hint: ..." to stderr.
void hint(std::string_view line);
// As it is, to stderr.
void print_error(std::string_view bytes);

}  // namespace vesper::app
