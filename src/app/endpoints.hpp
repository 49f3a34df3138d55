// Where a command finds its cluster: --endpoints, VESPER_ENDPOINTS, ./ip_list.txt or the default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/cluster_file.hpp"

namespace vesper::app {

// "http://" in front and a "/" behind are optional, the port is not: a guess could reach somebody
// else's server.
Result<HostPort> parse_endpoint(std::string_view text);

// Endpoints separated by commas, in the order in which they are tried. Twins are dropped.
Result<std::vector<HostPort>> parse_endpoints(std::string_view text);

// `flag` is the value of --endpoints and `variable` that of VESPER_ENDPOINTS; null where they were
// not given. An ip_list.txt that is there and wrong is an error, not a reason to go on looking.
Result<std::vector<HostPort>> find_endpoints(const std::string* flag, const char* variable);

}  // namespace vesper::app
