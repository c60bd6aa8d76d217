// What misbehave.cpp does wrong with memory, one function for each deed.
#pragma once

#include "platform/windows/nt.hpp"

namespace hvp::tests {

// The compiler must not see through what is done to these pointers.
template <typename T>
T* opaque(T* pointer) {
    asm volatile("" : "+r"(pointer));
    return pointer;
}

NTSTATUS leak_pool();
NTSTATUS leak_contiguous();
NTSTATUS free_twice();
NTSTATUS free_with_wrong_tag();
NTSTATUS free_contiguous_as_pool();
NTSTATUS free_pool_as_contiguous();
NTSTATUS write_behind_block();
NTSTATUS write_before_block();
NTSTATUS write_far_behind_block();
NTSTATUS read_freed_block();
NTSTATUS read_block_freed_elsewhere();
NTSTATUS allocate_above_dispatch_level();
NTSTATUS refuse_and_leak();

}  // namespace hvp::tests
