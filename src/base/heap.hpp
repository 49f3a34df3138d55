// The settings of the C library's heap. They do nothing where it is not glibc's.
#pragma once

namespace vesper {

// Call once, before there are threads and much memory.
void set_up_heap();

// Gives free memory back to the system, also where it lies between what stays. Takes milliseconds.
void give_memory_back();

}  // namespace vesper
