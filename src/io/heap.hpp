// What a recovery puts on the heap, in pages of 2 MiB. A store of a million keys is a tree all over
// the heap: with pages of 4 KiB half of a restart is spent on page faults and on looking up
// addresses (docs/architecture.md has the figures). glibc asks for large pages only where an
// environment variable says so before the process starts; so we ask. Nothing of this is needed for
// anything to be right.
#pragma once

#include <cstdint>

namespace vesper::io {

class Heap {
 public:
  // Before the first thread: one heap for all of them, which grows in large steps.
  static void prepare();

  Heap();
  // Asks for large pages where the heap has grown since the last call; a comparison where it has
  // not. Called while somebody waits for a recovery.
  void cover();
  // From now on the heap grows in small pages: to clear a large one takes milliseconds on some
  // machines, which is nothing to a recovery and much to a turn of the loop. Those that are there
  // stay.
  void settle();

 private:
  std::uintptr_t begin_;
  std::uintptr_t end_;  // when cover() was called last
};

}  // namespace vesper::io
