// Random transactions on a keyspace, for the tests of what watches see of it.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "kv/keyspace.hpp"

namespace vesper::test {

struct Write {
  std::string key;
  kv::Space space = kv::Space::keys;
  bool remove = false;  // of a name that exists
  std::string value = "v";
};

// Commits one transaction. Each write has its own name.
inline void commit(kv::Keyspace& keyspace, const std::vector<Write>& writes) {
  std::vector<kv::VersionRef> versions;
  for (const Write& write : writes) {
    kv::VersionFields fields;
    const kv::Version* present = keyspace.find(write.space, write.key);
    fields.revision = keyspace.revision() + 1;
    fields.space = write.space;
    fields.place = static_cast<std::uint32_t>(versions.size() + 1);
    fields.tombstone = write.remove;
    if (!write.remove) {
      fields.create_revision = present == nullptr ? fields.revision : present->create_revision();
      fields.version = present == nullptr ? 1 : present->version() + 1;
    }
    versions.push_back(
        kv::Version::make(write.key, write.remove ? std::string_view() : write.value, fields));
  }
  keyspace.commit(std::move(versions));
}

// One to five writes to names "a" to "h" in any space.
inline void commit_some(kv::Keyspace& keyspace, Prng& prng) {
  std::vector<Write> writes;
  std::set<std::pair<kv::Space, std::string>> names;
  const auto count = prng.between(1, 5);
  while (static_cast<std::int64_t>(writes.size()) < count) {
    Write write;
    write.key = std::string(1, static_cast<char>('a' + prng.between(0, 7)));
    write.space = static_cast<kv::Space>(prng.between(0, 2));
    write.value = std::to_string(prng.between(0, 99));
    if (!names.emplace(write.space, write.key).second) continue;
    write.remove = prng.between(0, 2) == 0 && keyspace.find(write.space, write.key) != nullptr;
    writes.push_back(std::move(write));
  }
  commit(keyspace, writes);
}

inline void trim_all(kv::Keyspace& keyspace) {
  std::size_t max = SIZE_MAX, bytes = SIZE_MAX;
  (void)keyspace.trim(max, bytes);
}

}  // namespace vesper::test
