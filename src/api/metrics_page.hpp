// /metrics: the Prometheus text format, version 0.0.4. The metric names are part of the contract.
#pragma once

#include "api/forward.hpp"

namespace vesper::api {

void render_metrics(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
