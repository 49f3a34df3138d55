#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

#include "kv/older_versions.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

VersionRef version_of(std::uint64_t revision) {
  VersionFields fields;
  fields.revision = revision;
  fields.create_revision = 2;
  fields.version = revision - 1;
  return Version::make("k", "v", fields);
}

OlderVersions versions(std::uint64_t first, std::uint64_t last) {
  OlderVersions older;
  for (std::uint64_t revision = first; revision <= last; ++revision)
    older.add(version_of(revision));
  return older;
}

}  // namespace

TEST_CASE("a key without older versions has none at any revision") {
  const OlderVersions none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  CHECK(none.find(UINT64_MAX) == nullptr);
}

TEST_CASE("versions are found by revision, however many there are, and leave in their order") {
  for (const std::uint64_t count : {1u, 2u, 3u, 1023u, 1024u, 1025u, 3000u}) {
    CAPTURE(count);
    OlderVersions older = versions(2, count + 1);
    for (std::uint64_t left = count; left > 0; --left) {
      const std::uint64_t first = count + 2 - left;
      REQUIRE(older.size() == left);
      REQUIRE(older.oldest().revision() == first);
      REQUIRE(older.newest().revision() == count + 1);
      REQUIRE(older.find(first - 1) == nullptr);
      REQUIRE(older.find(first)->revision() == first);
      REQUIRE(older.find(UINT64_MAX)->revision() == count + 1);
      older.remove_oldest();
    }
    CHECK(older.empty());
    older.add(version_of(count + 2));
    CHECK(older.size() == 1);
  }
}

TEST_CASE("moved versions are in one place") {
  for (const std::uint64_t count : {1u, 2u, 2000u}) {
    OlderVersions from = versions(2, count + 1);
    OlderVersions to = std::move(from);
    CHECK(from.empty());
    CHECK(to.size() == count);
    OlderVersions other = versions(2, 2);
    other = std::move(to);
    CHECK(other.newest().revision() == count + 1);
  }
}

TEST_CASE("a version stays while someone else holds it") {
  const VersionRef held = version_of(2);
  {
    OlderVersions older;
    older.add(held);
    older.add(version_of(3));
    older.remove_oldest();
    CHECK(older.oldest().revision() == 3);
  }
  CHECK(held->value() == "v");
}
