// How far the log may grow while the disk is full. The limits come from DiskSpace events
// (event.hpp).
#pragma once

#include <algorithm>
#include <cstdint>

#include "raft/event.hpp"

namespace vesper::raft {

// The disk space that an entry may need beyond its own bytes, and the least space with which a
// leader takes proposals.
inline constexpr std::uint64_t kRoomPerEntry = 1024;
inline constexpr std::uint64_t kRoomToLead = 64u << 10;

class DiskRoom {
 public:
  void update(const DiskSpace& space) {
    space_ = space;
    if (!space.full) wanted_ = 0;
  }
  // Reserves room for an entry of `bytes`. False if it does not fit.
  bool reserve(std::size_t bytes) {
    if (!space_.full) return true;
    const std::uint64_t needed = bytes + kRoomPerEntry;
    if (needed > space_.room) {
      wanted_ = needed;
      return false;
    }
    space_.room -= needed;
    return true;
  }
  // Called when the leader changes: the next entry of another leader may be smaller than the one
  // that did not fit.
  void forget_wanted() { wanted_ = 0; }

  bool is_full() const { return space_.full; }
  // True if not even the leader's next entry fits.
  bool is_exhausted() const {
    return space_.full && space_.room < std::max(wanted_, kRoomPerEntry + 1);
  }
  bool has_room_to_lead() const { return !space_.full || space_.room >= kRoomToLead; }

 private:
  DiskSpace space_;
  std::uint64_t wanted_ = 0;  // needed by the leader's next entry, which did not fit; 0: none
};

}  // namespace vesper::raft
