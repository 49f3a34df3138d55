// /status: this server's own view. It waits for no other server.
#pragma once

#include "api/forward.hpp"
#include "base/time.hpp"

namespace vesper::api {

void render_status(Context& context, const HttpExchange& exchange, Answer& answer);

// Since the entry that the newest snapshot ends with, by the cluster's clock; 0 without one.
Duration snapshot_age(Context& context);

}  // namespace vesper::api
