#include "io/heap.hpp"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace vesper::io {
namespace {

constexpr int kStep = 64 << 20;            // the heap grows by at least so much
constexpr int kLargest = 32 << 20;         // glibc's limit; any value of a client is smaller
constexpr std::uintptr_t kPage = 2 << 20;  // of x86-64 and, with pages of 4 KiB, of arm64

// No system call: glibc knows.
std::uintptr_t end_of_heap() {
  return reinterpret_cast<std::uintptr_t>(sbrk(0));
}

std::uintptr_t round_up(std::uintptr_t address) {
  return (address + kPage - 1) / kPage * kPage;
}

// A kernel without large pages refuses, and that is all.
void advise(std::uintptr_t from, std::uintptr_t to, int advice) {
  from = round_up(from);
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, advice);
}

}  // namespace

void Heap::prepare() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, kStep);
  mallopt(M_TRIM_THRESHOLD, 2 * kStep);
  mallopt(M_MMAP_THRESHOLD, kLargest);  // what lies outside of the heap is made anew each time
#endif
}

Heap::Heap() : begin_(end_of_heap()), end_(begin_) {}

void Heap::cover() {
  const std::uintptr_t end = end_of_heap();
  if (end == end_) return;
  // What was given back and taken again in between has small pages: the last steps are done anew.
  advise(std::max(begin_, std::min(end_, end - 2 * kStep)), end, MADV_HUGEPAGE);
  end_ = end;
}

void Heap::settle() {
  end_ = end_of_heap();
  advise(begin_, end_, MADV_NOHUGEPAGE);
}

}  // namespace vesper::io
