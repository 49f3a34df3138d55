// /ui/: the files of the web page. They are the only replies that may be compressed, and the only
// ones that a browser shows as a page, so they carry a Content-Security-Policy.
#pragma once

#include <optional>
#include <string_view>

#include "api/forward.hpp"
#include "http/conditions.hpp"

namespace vesper::ui {
struct File;
}

namespace vesper::api {

struct PageRequest {
  const ui::File* file = nullptr;
  bool takes_gzip = false;
  http::EntityTags known;  // of If-None-Match
};

// Finds the file that `rest`, which follows /ui/, names.
std::optional<Problem> read_page_path(std::string_view rest, HttpExchange& exchange);
std::optional<Problem> check_page_file(const Context& context, const http::RequestHead& head,
                                       const Query& query, HttpExchange& exchange);
// The same for the paths that name one file: /ui and /favicon.ico.
std::optional<Problem> check_page(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange);
std::optional<Problem> check_icon(const Context& context, const http::RequestHead& head,
                                  const Query& query, HttpExchange& exchange);
void render_page(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
