// Reading a file through a window, and what its errors say.
#include <doctest/doctest.h>

#include <algorithm>

#include "storage/file_window.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;
using storage::FileWindow;

namespace {

std::string content(std::size_t bytes) {
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(i % 251);
  return out;
}

}  // namespace

TEST_CASE("a window returns the bytes of the file, and fewer only at its end") {
  test::MemFs fs;
  const std::string bytes = content(FileWindow::kBytes * 2 + 100);
  REQUIRE(fs.write("f", 0, bytes).ok());
  FileWindow window(fs, "f", bytes.size());
  CHECK(window.size() == bytes.size());
  const std::size_t at[] = {0, 10, FileWindow::kBytes - 5, FileWindow::kBytes * 2,
                            bytes.size() - 3};
  for (const std::size_t offset : at) {
    const auto view = window.view(offset, 50);
    REQUIRE(view.ok());
    CHECK(*view == std::string_view(bytes).substr(offset, 50));
  }
  const auto all = window.view(0, bytes.size());  // more than a window holds
  REQUIRE(all.ok());
  CHECK(*all == bytes);
  CHECK(window.view(bytes.size(), 1)->empty());
}

TEST_CASE("the error about a file that shrank names the file and the offset") {
  test::MemFs fs;
  REQUIRE(fs.write("f", 0, content(10)).ok());
  FileWindow window(fs, "f", 20);
  const auto view = window.view(5, 15);
  REQUIRE_FALSE(view.ok());
  CHECK(view.error().what ==
        "f at offset 5: expected 15 bytes, but read 5; the file may have changed");
}
