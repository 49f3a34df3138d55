// The number of starts of a data directory. The handshake carries it, and other servers keep the
// highest that they saw, so that an older copy of a directory is noticed (docs/raft.md, "A disk
// that goes back").
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "raft/types.hpp"
#include "storage/fs.hpp"

namespace vesper::storage {

// Counts this start of the directory whose log has this incarnation, and returns its number,
// from 1. Boot only; blocks. Once it returns, the number is durable. A crash meanwhile leaves the
// number of the start before, or this one. The file is written in place, so that a restart succeeds
// on a full disk: it has two sectors, and a start writes the one that is older.
Result<std::uint64_t> count_boot(Fs& fs, raft::Incarnation incarnation);

// The number of the last start, without counting one; 0 if none was counted for this incarnation.
Result<std::uint64_t> last_boot(Fs& fs, raft::Incarnation incarnation);

}  // namespace vesper::storage
