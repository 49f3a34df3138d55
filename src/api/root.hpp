// /: names this server and the paths to try next.
#pragma once

#include "api/forward.hpp"

namespace vesper::api {

void render_root(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
