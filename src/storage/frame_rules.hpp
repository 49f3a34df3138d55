// The consistency rules between the frames of one log. Their encoding is in wal_format.hpp.
#pragma once

#include "storage/wal_format.hpp"

namespace vesper::storage {

// Returns what contradicts the state `before` in a frame with correct checksums, or null. `base`:
// where the log begins after a cut. Such a contradiction does not come from a disk. It is a bug in
// the program that wrote the frame, and continuing would make it worse.
const char* inconsistency(const FrameHeader& frame, const raft::LogBase& base,
                          const WalState& before);

}  // namespace vesper::storage
