#include "base/heap.hpp"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace vesper {

// One heap for all threads: at boot, a worker thread builds the state, which then lives on the
// loop's thread, and glibc grows the heaps of other threads one page at a time, each with a system
// call. No fast bins: glibc keeps small blocks there that were freed, and merges all of them when a
// large one is freed. After a million old versions that holds the loop for 20 ms.
void set_up_heap() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MXFAST, 0);
#endif
}

void give_memory_back() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace vesper
