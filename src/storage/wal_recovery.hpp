// Reads a log back. Verifies every head and frame, distinguishes a torn tail from damage, and
// changes nothing on disk before everything has been judged. Boot only; blocks. Appending is in
// wal.hpp.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "raft/types.hpp"
#include "storage/fs.hpp"
#include "storage/wal.hpp"
#include "storage/wal_format.hpp"

namespace vesper::storage {

// Reads the log of the directory into `out`, and returns where to continue. In an empty directory
// it creates the first segment. A torn tail stays as it is, and a new segment is created. Errors as
// in Wal::open.
Result<WalTail> recover_wal(Fs& fs, raft::ServerId self, raft::Incarnation fresh,
                            const WalOptions& options, RecoveredLog& out, raft::Index unneeded);

}  // namespace vesper::storage
