// /watch: changes of keys, locks and elections as they are committed, as server-sent events or
// NDJSON. This file reads the request; watch_events.hpp writes the stream.
#pragma once

#include "api/forward.hpp"
#include "api/watch_events.hpp"
#include "node/watch_stream.hpp"

namespace vesper::api {

struct WatchRequest {
  node::WatchRequest watch;
  WatchForm form = WatchForm::events;
  bool accept_decides = false;  // no parameter chooses the form
};

// The parameters that may occur more than once.
inline constexpr std::string_view kRepeatableFilters[] = {"prefix", "key"};

std::optional<Problem> check_watch(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange);
void render_watch(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
