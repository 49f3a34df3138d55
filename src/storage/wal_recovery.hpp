// Reading a log back: verifies every head and frame, tells a torn tail from damage, and changes
// nothing on disk before all of it has been judged. Boot only; blocks.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "raft/types.hpp"
#include "storage/fs.hpp"
#include "storage/wal.hpp"
#include "storage/wal_format.hpp"

namespace vesper::storage {

// Reads what the directory holds into `out` and gives back where to go on. An empty directory gets
// its first segment, a torn tail stays as it is and a new segment is made. Errors as in Wal::open.
Result<WalTail> recover_wal(Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                            const WalOptions& options, RecoveredLog& out, raft::Index unneeded);

}  // namespace vesper::storage
