// Checks of Host and Origin. They keep foreign web pages away from a store that needs no password.
#pragma once

#include <string_view>

#include "api/settings.hpp"
#include "http/message.hpp"

namespace vesper::api {

// True if a request may name this host. Guards against DNS rebinding: a name with a dot must be in
// the list or be given with --allow-host.
bool host_allowed(const Settings& settings, std::string_view authority);
// True if a browser sent the request on behalf of a page of another origin.
bool cross_origin(const http::RequestHead& head);

}  // namespace vesper::api
