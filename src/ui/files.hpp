// The files of the web page at /ui/, which the build embeds (embed.py). The page is plain HTML, CSS
// and JavaScript modules beside this file. It uses the public HTTP API and nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace vesper::ui {

struct File {
  std::string_view name;  // what follows /ui/ in its path; empty: the page itself
  std::string_view content_type;
  std::string_view plain;
  std::string_view gzip;  // compressed; the same bytes as `plain` if that is not smaller
  // Entity tags. Equal tags mean equal bytes. 1 to 2^53-1.
  std::uint64_t plain_tag = 0;
  std::uint64_t gzip_tag = 0;

  bool is_compressed() const { return gzip_tag != plain_tag; }
};

// All files, ordered by name.
std::span<const File> files();

}  // namespace vesper::ui
