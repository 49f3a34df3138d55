// What the frames of one log have to agree on.
#pragma once

#include "storage/wal_format.hpp"

namespace vesper::storage {

// What a frame with right checksums has wrong after the state `before`, or null. `base`: where the
// log begins after a cut. Nothing of it comes from a disk: it is a mistake of the program that
// wrote the frame, and going on would make it worse.
const char* inconsistency(const FrameHeader& frame, const raft::LogBase& base,
                          const WalState& before);

}  // namespace vesper::storage
