// What traps.S leaves on the stack for C++.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hvp::lab::ke {

/// The interrupted code's registers. Writing a field changes them.
struct TrapFrame {
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    std::uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    std::uint64_t vector;
    std::uint64_t error_code;
    std::uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(offsetof(TrapFrame, vector) == 15 * sizeof(std::uint64_t),
              "traps.S pushes fifteen registers");

}  // namespace hvp::lab::ke
