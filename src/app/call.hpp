// One request to a cluster: which endpoint to ask, when to retry, when to stop, and the exit code
// that the answer leads to (docs/http-api.md). http_client.hpp makes the single attempts; each
// command interprets a successful answer itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/cluster_file.hpp"
#include "app/http_client.hpp"
#include "app/options.hpp"
#include "app/stdio.hpp"
#include "base/time.hpp"
#include "json/document.hpp"

namespace vesper::app {

// A reachable host accepts a connection within a few round trips.
inline constexpr Duration kConnectTimeout = seconds(1);
// The range of ?timeout= (docs/http-api.md), in milliseconds.
inline constexpr std::int64_t kLeastTimeoutMs = 10;
inline constexpr std::int64_t kMostTimeoutMs = 60'000;

// Only after a write may the outcome be unknown.
enum class Access : std::uint8_t { read, write };

struct Call {
  std::string_view method;
  std::string path;   // percent-encoded
  std::string query;  // percent-encoded, without '?'; the timeout is appended
  std::optional<std::string> body;
  std::string body_file;  // where `body` came from: a file, "-" for stdin, or empty
  Access access = Access::read;
  bool takes_timeout = true;  // the endpoint has ?timeout=
  // Identifies a write across retries. If it is empty, the write is sent only once.
  std::string idempotency_key;
  Duration waits;  // how much longer the server may take, because the request asks it to wait
  bool is_endless = false;  // the reply is a stream that ends only with the connection
};

struct Outcome {
  enum class Kind {
    reply,        // of any status except 429 and 503
    unavailable,  // no answer, or only 429 and 503; nothing was applied
    unknown,      // a write was sent, but no answer told its outcome
    bad_reply,    // a read was answered by something other than a Vesper server
  };
  Kind kind = Kind::unavailable;
  HostPort server;     // that sent the reply
  Reply reply;         // for unavailable and unknown: the last reply, or status 0
  std::string detail;  // without a reply: which server and why, for people
};

// The call's path and query, with ?timeout= if the endpoint has it and `timeout` is not empty.
std::string target_of(const Call& call, std::string_view timeout);

// Tries the endpoints in order, round after round, until one answers or the time is up. After the
// first round, also the members that they name (learn_members). Fails at once if none of them
// accepts a connection. A write without an Idempotency-Key that was sent
// completely is not sent to another endpoint, unless the answer promises that nothing was applied
// (429, 503). A write with a key is retried until its outcome is known, but stops before the
// cluster could have forgotten the key.
Outcome call_cluster(const std::vector<HostPort>& endpoints, const Call& call, Duration timeout);

// The members of a problem body (RFC 9457) that commands use. Empty or 0: missing.
struct ProblemText {
  std::string code;
  std::string detail;
  std::string hint;
  std::uint64_t limit = 0;
  std::uint64_t line = 0;  // of an import, from 1
};
ProblemText read_problem(std::string_view body);
ProblemText read_problem(const json::Value& problem);
// "detail (code)", or the part of it that is there. Safe to print.
std::string describe(const ProblemText& problem, int status);

// Reports a failure on stderr: as the server's problem body if `format` is json, otherwise as text,
// with the server's hint if there is one. Returns the exit code. For a reply of 200, prints nothing
// and returns kExitOk.
int report(const Outcome& outcome, Access access, OutputFormat format);

// The exit code for the status of an answer and the code in its problem body.
int exit_code_of(int status, std::string_view code, Access access);

}  // namespace vesper::app
