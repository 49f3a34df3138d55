// Finds the cluster that a command talks to: --endpoints, VESPER_ENDPOINTS, ./ip_list.txt or the
// default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/cluster_file.hpp"

namespace vesper::app {

// A leading "http://" and a trailing "/" are optional; "https://" means TLS. The port is required,
// because a default could reach an unrelated server.
Result<HostPort> parse_endpoint(std::string_view text);

// Comma-separated endpoints, in the order in which they are tried. Duplicates are dropped.
Result<std::vector<HostPort>> parse_endpoints(std::string_view text);

// `flag` is the value of --endpoints and `variable` that of VESPER_ENDPOINTS; null if not given. An
// invalid ip_list.txt is an error: the default is not used in its place.
Result<std::vector<HostPort>> find_endpoints(const std::string* flag, const char* variable);

}  // namespace vesper::app
