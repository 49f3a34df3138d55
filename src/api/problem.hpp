// Problem bodies (RFC 9457), the form of every error answer. The codes are part of the contract
// (docs/http-api.md): programs compare the code, never the detail.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/problem.hpp"
#include "node/ports.hpp"

namespace vesper::api {

struct Problem {
  int status = 500;
  std::string_view code;  // static text
  std::string detail;     // for people
  std::string hint;       // what to do next; may be empty
  // Members that only some codes have:
  std::string parameter;
  std::string field;
  std::optional<std::uint64_t> limit;
  std::optional<std::uint64_t> count;             // of the keys in a range that is too large
  std::optional<std::uint64_t> current_revision;  // of the key; 0: it is absent
  std::optional<std::uint64_t> oldest_revision;   // the oldest readable one
  std::optional<std::uint64_t> token;             // of the present holder of a lock
  std::optional<std::uint64_t> configuration;     // index of the one that is being changed
  std::vector<raft::NodeId> missing;              // voters that cannot be reached
  std::optional<std::uint64_t> line;              // of an import; the lines before it are written
  std::string_view allow;                         // for a 405
  std::string_view right;                         // that the client's token lacks; static text
  // The store's revision, if the store was consulted.
  std::optional<std::uint64_t> revision;

  // 429 and 503 promise that a retry is safe, and say when.
  bool retry() const { return status == 429 || status == 503; }
};

Problem malformed(std::string detail);
Problem invalid_parameter(std::string_view name, std::string detail);
Problem invalid_header(std::string_view name, std::string detail);
Problem refused(node::Refusal refusal);
Problem starting();
// `why` it is no member, and what to do.
Problem not_a_member(std::string why);
Problem overloaded(std::string detail);
// The problem of a JSON body that cannot be read.
Problem problem_of(const json::Problem& wrong);

// Appends the body, one line of JSON.
void append_problem(std::string& out, const Problem& problem);
// Appends the last line of NDJSON that an error ends: {"error":{problem}}.
void append_error_line(std::string& out, const Problem& problem);

}  // namespace vesper::api
