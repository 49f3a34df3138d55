// The parameters that choose what a read may return: ?consistency, ?max_staleness, ?min_revision
// and ?revision. Every endpoint that reads the store shares them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/forward.hpp"
#include "node/ports.hpp"

namespace vesper::api {

// Revisions are below this bound, so that every JSON reader represents them exactly.
inline constexpr std::uint64_t kEndOfRevisions = std::uint64_t{1} << 53;

// Keys or versions in one answer: without `limit`, and at most.
inline constexpr std::uint64_t kDefaultLimit = 1'000;
inline constexpr std::uint64_t kMaxLimit = 10'000;

// True for the parameters that read_option() reads. ?revision is not one of them: not every read
// takes it.
bool is_read_option(std::string_view name);
// Reads one of them into `options`.
std::optional<Problem> read_option(const http::QueryParameter& parameter,
                                   node::ReadOptions& options);
// Checks the options together, once all parameters have been read.
std::optional<Problem> check_read_options(const node::ReadOptions& options);
// A local read of `revision` waits until this node has reached it. Other reads are at the newest
// revision anyway, so a `revision` above the store's is refused.
void wait_for_revision(std::uint64_t revision, node::ReadOptions& options);
// Reads a revision, 1 to 2^53-1, from a parameter of any name.
std::optional<Problem> read_revision(const http::QueryParameter& parameter,
                                     std::uint64_t& revision);
// Reads a ?limit, 1 to kMaxLimit.
std::optional<Problem> read_limit(const http::QueryParameter& parameter, std::size_t& limit);
// Reads a flag, such as ?raw or ?prev.
std::optional<Problem> read_flag(const http::QueryParameter& parameter, bool& flag);

// The name of a level in ?consistency= and Vesper-Consistency.
std::string_view to_string(node::ReadLevel level);

}  // namespace vesper::api
