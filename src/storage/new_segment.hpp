// Creates a segment of the log at boot. Blocks. At run time Wal (wal.hpp) creates segments in jobs,
// slice by slice.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "storage/fs.hpp"
#include "storage/wal_format.hpp"

namespace vesper::storage {

// Creates a segment of `bytes` that contains only its head. It gets its name only once it is
// durable. On a disk that is nearly full it is smaller: terms and votes need little space, and with
// them a server can help the others until there is space for entries. Sets head.file_bytes and
// head.checksum.
Result<WalSegment> make_segment(Fs& fs, std::uint64_t bytes, SegmentHead& head);

}  // namespace vesper::storage
