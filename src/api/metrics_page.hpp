// /metrics: the Prometheus text format, version 0.0.4. The metric names are part of the contract.
#pragma once

#include <string>

#include "api/forward.hpp"
#include "node/status.hpp"

namespace vesper::api {

// The part of the page that says how the node and its store are.
void append_node_metrics(const node::Status& status, std::string& out);
void render_metrics(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
