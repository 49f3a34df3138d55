// Records: small files that are written as a whole, at a start and while the server runs.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cerrno>

#include "storage/records.hpp"
#include "support/mem_fs.hpp"

using namespace vesper;
using namespace vesper::test;

namespace {

// Runs jobs until the writer has none.
void settle(MemFs& fs, storage::RecordWriter& writer, Instant now) {
  writer.flush(now);
  while (const auto done = fs.run_one()) REQUIRE(writer.on_done(*done, now).ok());
}

}  // namespace

TEST_CASE("a record comes back, and any changed bit is noticed") {
  const std::string bytes = storage::encode_record("diverged", "at index 9");
  CHECK(storage::decode_record("diverged", bytes).value() == "at index 9");
  CHECK_FALSE(storage::decode_record("boots-seen", bytes).ok());  // the name belongs to it
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string bad = bytes;
    bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << (i % 8)));
    CHECK_FALSE(storage::decode_record("diverged", bad).ok());
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(storage::decode_record("diverged", bytes.substr(0, size)).ok());
}

// docs/disk-format.md has these bytes.
TEST_CASE("the bytes of a record are those of the page on the disk format") {
  const std::string bytes = storage::encode_record("diverged", "at index 9");
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x} ", static_cast<unsigned char>(c));
  CHECK(hex ==
        "56 45 53 50 52 52 45 43 01 00 00 00 0a 00 00 00 61 74 20 69 6e 64 65 78 20 39 "
        "35 1e 42 a9 96 af 1f e4 ");
}

TEST_CASE("a record of a newer version is refused by its version") {
  std::string bytes = storage::encode_record("diverged", "x");
  bytes[8] = 2;
  const auto content = storage::decode_record("diverged", bytes);
  REQUIRE_FALSE(content.ok());
  CHECK(content.error().what == "it has version 2, but this build reads only 1");
}

TEST_CASE("a crash while a record is written leaves the old one or the new one") {
  for (const auto loss : {MemFs::Loss::all, MemFs::Loss::none, MemFs::Loss::random}) {
    for (std::uint64_t step = 0;; ++step) {
      MemFs fs(step + 1);
      REQUIRE(storage::write_record(fs, "diverged", "old").ok());
      fs.cut_power_at(fs.steps() + step);
      const bool written = storage::write_record(fs, "diverged", "new").ok();
      if (fs.powered()) break;
      CHECK_FALSE(written);
      fs.lose_power(loss);
      const auto found = storage::read_record(fs, "diverged");
      REQUIRE(found.ok());
      REQUIRE(found->has_value());
      CHECK((**found == "old" || **found == "new"));
    }
  }
}

TEST_CASE("while the server runs, records are written one after another, the newest content only") {
  MemFs fs(1);
  storage::RecordWriter writer(fs);
  writer.write("boots-seen", "one");
  writer.write("boots-seen", "two");
  writer.write("diverged", "why");
  CHECK_FALSE(writer.is_idle());
  settle(fs, writer, {});
  CHECK(writer.is_idle());
  fs.lose_power(MemFs::Loss::all);
  CHECK(*storage::read_record(fs, "boots-seen").value() == "two");
  CHECK(*storage::read_record(fs, "diverged").value() == "why");
}

TEST_CASE("a full disk delays a record, and every other failure ends the server") {
  MemFs fs(1);
  storage::RecordWriter writer(fs);
  fs.set_capacity(10);
  writer.write("diverged", "why");
  settle(fs, writer, {});
  CHECK_FALSE(writer.is_idle());
  fs.set_capacity(1000);
  settle(fs, writer, Instant{milliseconds(900).ns});
  CHECK_FALSE(writer.is_idle());
  settle(fs, writer, Instant{seconds(1).ns});
  CHECK(writer.is_idle());
  CHECK(*storage::read_record(fs, "diverged").value() == "why");

  fs.fail(MemFs::Call::sync, 0, EIO);
  writer.write("diverged", "again");
  writer.flush(Instant{seconds(2).ns});
  const auto done = fs.run_one();
  REQUIRE(done.has_value());
  const auto judged = writer.on_done(*done, Instant{seconds(2).ns});
  REQUIRE_FALSE(judged.ok());
  CHECK(judged.error().what.starts_with("cannot write diverged: "));
}
