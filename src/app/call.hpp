// One request to a cluster: which endpoint, which next, until when, and what the answer means for
// the exit code (docs/http-api.md). What a command makes of a good answer is its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/cluster_file.hpp"
#include "app/http_client.hpp"
#include "app/stdio.hpp"
#include "base/time.hpp"

namespace vesper::app {

struct Call {
  std::string_view method;
  std::string path;        // encoded
  std::string_view query;  // encoded, without '?'; the timeout is added to it
  bool has_body = false;
  std::string body;
  bool is_write = false;
  // Of a write: what makes it the same one when it is sent again. Empty: it is sent once.
  std::string idempotency_key;
};

struct Outcome {
  enum class Kind {
    reply,        // of any status but 429 and 503
    unavailable,  // nobody answered, or only with 429 and 503; nothing was applied
    unknown,      // a write was sent, and no answer said what became of it
    bad_reply,    // a read was answered by something that is no Vesper
  };
  Kind kind = Kind::unavailable;
  Reply reply;         // of reply; of unavailable and unknown the last one, if any, else status 0
  std::string detail;  // of what is no reply, for people: who and why
};

// Tries the endpoints in their order, and again from the first, until one answers or the time is
// up. At once, where none takes a connection. A write without an Idempotency-Key is not sent to
// another endpoint after all of it was sent to one, but for an answer that promises that nothing
// was applied (429, 503). One with a key is sent again until its outcome is known, but not for so
// long that its key could have been forgotten.
Outcome call_cluster(const std::vector<HostPort>& endpoints, const Call& call, Duration timeout);

// Says what went wrong on stderr, and a hint where the server gave one. Returns the exit code;
// kExitOk, and silence, for a reply of 200.
int report(const Outcome& outcome, bool is_write, bool as_json);

// The exit code for a problem body's status and code word.
int exit_code_of(int status, std::string_view code, bool is_write);

}  // namespace vesper::app
