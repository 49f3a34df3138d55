// GET /figures: the samples of the last 15 minutes, for the plots of the page. Answered from this
// process's memory.
#pragma once

#include <cstdint>
#include <optional>

#include "api/forward.hpp"

namespace vesper::api {

struct RecentFiguresRequest {
  std::int64_t since_ms = -1;  // ?since=, the at_ms of a sample; -1: all samples
};

// Takes a sample of the node's figures if one is due. Call it in every turn.
void take_sample_if_due(Context& context);

std::optional<Problem> check_recent_figures(const Context& context, const http::RequestHead& head,
                                            const Query& query, HttpExchange& exchange);
void render_recent_figures(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
