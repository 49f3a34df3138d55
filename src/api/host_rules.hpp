// Which Host and which Origin a request may name: what keeps web pages of others away from a store
// that needs no password.
#pragma once

#include <string_view>

#include "api/settings.hpp"
#include "http/message.hpp"

namespace vesper::api {

// Is the host one that browsers may be sent to? (DNS rebinding)
bool host_allowed(const Settings& settings, std::string_view authority);
// A write that a page of another origin made.
bool cross_origin(const http::RequestHead& head);

}  // namespace vesper::api
