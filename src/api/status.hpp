// /status: this server's own view. Does not wait for another server.
#pragma once

#include "api/forward.hpp"
#include "base/time.hpp"

namespace vesper::api {

void render_status(Context& context, const HttpExchange& exchange, Answer& answer);

// The time since the last entry in the newest snapshot, by the cluster's clock. 0 if there is no
// snapshot.
Duration snapshot_age(Context& context);

}  // namespace vesper::api
