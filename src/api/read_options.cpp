#include "api/read_options.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.hpp"
#include "http/values.hpp"

namespace vesper::api {

bool is_read_option(std::string_view name) {
  return name == "consistency" || name == "max_staleness" || name == "min_revision";
}

std::optional<Problem> read_option(const http::QueryParameter& parameter,
                                   node::ReadOptions& options) {
  if (parameter.name == "consistency") {
    for (const auto level :
         {node::ReadLevel::linearizable, node::ReadLevel::lease, node::ReadLevel::stale}) {
      options.level = level;
      if (to_string(level) == parameter.value) return std::nullopt;
    }
    return invalid_parameter(parameter.name, "consistency must be linearizable, lease or stale");
  }
  if (parameter.name == "max_staleness") {
    options.max_staleness = http::parse_duration(parameter.value);
    if (options.max_staleness) return std::nullopt;
    return invalid_parameter(parameter.name, "max_staleness must be a duration such as 200ms");
  }
  std::uint64_t revision = 0;
  if (auto problem = read_revision(parameter, revision)) return problem;
  options.min_revision = std::max(options.min_revision, revision);
  return std::nullopt;
}

std::optional<Problem> check_read_options(const node::ReadOptions& options) {
  if (options.max_staleness && options.level != node::ReadLevel::stale)
    return invalid_parameter("max_staleness", "max_staleness requires consistency=stale");
  return std::nullopt;
}

void wait_for_revision(std::uint64_t revision, node::ReadOptions& options) {
  if (options.level == node::ReadLevel::stale)
    options.min_revision = std::max(options.min_revision, revision);
}

std::optional<Problem> read_revision(const http::QueryParameter& parameter,
                                     std::uint64_t& revision) {
  const auto number = http::parse_decimal(parameter.value);
  if (!number || *number == 0 || *number >= kEndOfRevisions)
    return invalid_parameter(
        parameter.name,
        fmt::format("{} must be a whole number from 1 to 2^53 - 1", parameter.name));
  revision = *number;
  return std::nullopt;
}

std::optional<Problem> read_limit(const http::QueryParameter& parameter, std::size_t& limit) {
  const auto number = http::parse_decimal(parameter.value);
  if (!number || *number == 0 || *number > kMaxLimit)
    return invalid_parameter(parameter.name,
                             fmt::format("limit must be a whole number from 1 to {}", kMaxLimit));
  limit = static_cast<std::size_t>(*number);
  return std::nullopt;
}

std::optional<Problem> read_flag(const http::QueryParameter& parameter, bool& flag) {
  const auto value = http::parse_flag(parameter.value);
  if (!value)
    return invalid_parameter(
        parameter.name, fmt::format("{0} is a flag; use ?{0}, ?{0}=1 or ?{0}=0", parameter.name));
  flag = *value;
  return std::nullopt;
}

std::string_view to_string(node::ReadLevel level) {
  switch (level) {
    case node::ReadLevel::linearizable: return "linearizable";
    case node::ReadLevel::lease: return "lease";
    case node::ReadLevel::stale: return "stale";
  }
  VESPER_UNREACHABLE();
}

}  // namespace vesper::api
