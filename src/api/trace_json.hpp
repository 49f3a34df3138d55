// Events of a trace as JSON (docs/http-api.md, GET /trace).
#pragma once

#include <string>

#include "node/trace_event.hpp"

namespace vesper::api {

// Appends one object, without a line feed.
void append_trace(std::string& out, const node::TraceItem& item);

}  // namespace vesper::api
