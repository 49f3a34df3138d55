// A version gives back what it was made of, whichever of its fields take memory.
#include <doctest/doctest.h>

#include <string>

#include "kv/version.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

void check_equal(const VersionFields& a, const VersionFields& b) {
  CHECK(a.revision == b.revision);
  CHECK(a.create_revision == b.create_revision);
  CHECK(a.version == b.version);
  CHECK(a.lease == b.lease);
  CHECK(a.deadline == b.deadline);
  CHECK(a.place == b.place);
  CHECK(a.json == b.json);
  CHECK(a.tombstone == b.tombstone);
  CHECK(a.expired == b.expired);
  CHECK(a.space == b.space);
}

void check(const VersionFields& fields, const std::string& value) {
  const std::string key = "a key";
  const VersionRef version = Version::make(key, value, fields);
  CHECK(version->key() == key);
  CHECK(version->value() == value);
  check_equal(version->fields(), fields);
  CHECK(version->digest() == version->recomputed_digest());
}

VersionFields fields_of(std::uint64_t revision, std::uint64_t created, std::uint64_t version) {
  VersionFields fields;
  fields.revision = revision;
  fields.create_revision = created;
  fields.version = version;
  return fields;
}

}  // namespace

TEST_CASE("a version gives back its fields, key and value") {
  // What creates a key, a later write, what only a lock or a test has, and the largest numbers. The
  // sizes are those with and without a checksum of their own, and that of a shared value.
  for (const auto& counted :
       {fields_of(7, 7, 1), fields_of(9, 7, 3), fields_of(7, 7, 2), fields_of(9, 7, 1),
        fields_of(2, 0, 0), fields_of(UINT64_MAX, UINT64_MAX - 1, UINT64_MAX)}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{300}, Version::kInline + 1}) {
      const std::string value(size, 'v');
      VersionFields fields = counted;
      check(fields, value);
      fields.json = true;
      fields.place = UINT32_MAX;
      fields.lease = UINT64_MAX;
      check(fields, value);
      fields.lease = 0;
      fields.deadline = LogTime{INT64_MAX};
      check(fields, value);
    }
  }
  VersionFields tombstone = fields_of(5, 0, 0);
  tombstone.tombstone = true;
  check(tombstone, "");
  tombstone.expired = true;
  check(tombstone, "");
  tombstone.space = Space::elections;
  tombstone.create_revision = 4;
  tombstone.version = 2;
  check(tombstone, "");
}

TEST_CASE("the digest of a version never changes, because nodes of different builds compare it") {
  const auto digest = [](const std::string& value, const VersionFields& fields) {
    return to_hex(Version::make("a key", value, fields)->digest());
  };
  CHECK(digest("v", fields_of(7, 7, 1)) == "035c13b3c4f1786fca09c18f5f3528de");
  VersionFields leased = fields_of(9, 7, 3);
  leased.lease = 5;
  leased.place = 2;
  leased.json = true;
  CHECK(digest(std::string(300, 'v'), leased) == "dd92e80ca3ef9c9a1752c7e203164c6e");
  VersionFields temporary = fields_of(9, 9, 1);
  temporary.deadline = LogTime{11};
  CHECK(digest(std::string(5000, 'v'), temporary) == "6f951d4d3b8e46cf6a51487ef02f9e6a");
  VersionFields tombstone = fields_of(10, 0, 0);
  tombstone.tombstone = tombstone.expired = true;
  CHECK(digest("", tombstone) == "d61bc0f4257c0b4b9b38483e92e7fc66");
}

TEST_CASE("with_fields keeps key and value and takes all fields") {
  for (const std::size_t size : {std::size_t{3}, Version::kInline + 1}) {
    const std::string value(size, 'v');
    const VersionRef first = Version::make("k", value, fields_of(7, 7, 1));
    VersionFields fields = fields_of(8, 7, 2);
    fields.deadline = LogTime{5};
    const VersionRef second = first->with_fields(fields);
    CHECK(second->value() == value);
    check_equal(second->fields(), fields);
  }
}
