// The byte form of a version, in snapshots and in kept results. Little-endian:
//
//   u16 length, key   u8 flags (1 json, 2 tombstone, 4 expired, 8 lease, 16 deadline)   u8 space
//   u64 revision   u64 create_revision   u64 version   [u64 lease]   [i64 deadline]   u32 place
//   u32 length, value
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

// What precedes the value.
struct VersionHead {
  std::string_view key;
  VersionFields fields;
  std::size_t value_size = 0;
};

void write_version_head(ByteWriter& w, const Version& version);
void write_version(ByteWriter& w, const Version& version);

// Checks everything that can be checked in a single version. If bytes are missing, r.ok() is false
// and the result is meaningless.
Result<VersionHead> read_version_head(ByteReader& r);
Result<VersionRef> read_version(ByteReader& r);

}  // namespace vesper::kv
