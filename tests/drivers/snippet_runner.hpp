// Runs a snippet of code with an IDT, GDT, TSS and page tables of our own, and writes down what the
// handlers find: for drivers that compare the bare processor with a guest.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/vcpu/host_environment.hpp"
#include "tests/drivers/event_snippets.hpp"

namespace hvp::tests {

/// The stack of a handler, from the vector that the stub has pushed.
struct Pushed {
    std::uint64_t vector;
    std::uint64_t error_code;
    std::uint64_t rip;
    std::uint64_t cs;
    std::uint64_t rflags;
    std::uint64_t rsp;
    std::uint64_t ss;
};

struct Record {
    Pushed pushed;
    std::uint64_t cr2;
    std::uint64_t dr6;

    friend bool operator==(const Record& a, const Record& b) {
        return std::bit_cast<std::array<std::uint64_t, 9>>(a) ==
               std::bit_cast<std::array<std::uint64_t, 9>>(b);
    }
};

inline constexpr std::size_t most_records = 8;

struct Log {
    std::size_t count;
    std::array<Record, most_records> records;

    friend bool operator==(const Log& a, const Log& b) {
        return a.count == b.count &&
               std::equal(a.records.begin(), a.records.begin() + a.count, b.records.begin());
    }
};

/// What a snippet ends with: INT 0EEh.
inline constexpr std::uint8_t end_vector = 0xEE;
inline constexpr std::uint64_t resume_flag = 0x1'0000;
inline constexpr std::uint64_t dr6_at_rest = 0xFFFF'0FF0;

/// The page of code, and page tables: Windows', but for the first 512 GBytes. There are the page of
/// code and a stack for CPL 3 and the same for 32-bit code at CPL 0, and the first 2 MBytes of
/// physical memory, one to one.
///
/// Needs    `code`: a page that can be executed; `windows_pml4`: Windows' uppermost page table
/// Where    outside VMX operation, once; all that follows uses them
void prepare_runner(std::uint8_t* code, const std::uint64_t* windows_pml4);

/// GDT, TSS, IDT and page tables are ours. IST 1 is for what must not use the snippet's stack.
///
/// Returns  false: Windows' tables are not as expected
/// Where    interrupts off until `leave_tables`
[[nodiscard]] bool load_tables(const arch::ProcessorState& windows);
void leave_tables(const arch::ProcessorState& windows);

/// Runs one.
///
/// Where    behind `load_tables`
void run_one(const Snippet& which, Log& log);

/// Where the code of a snippet lies.
[[nodiscard]] std::uint64_t code_of(const Snippet& which);

/// DR0 to DR3 and DR6 as they were.
class DebugRegistersKept {
public:
    DebugRegistersKept() : dr0_{arch::read_dr<0>()}, dr6_{arch::read_dr<6>()} {}
    DebugRegistersKept(const DebugRegistersKept&) = delete;
    DebugRegistersKept& operator=(const DebugRegistersKept&) = delete;
    ~DebugRegistersKept() {
        arch::write_dr<0>(dr0_);
        arch::write_dr<6>(dr6_);
    }

private:
    std::uint64_t dr0_;
    std::uint64_t dr6_;
};

}  // namespace hvp::tests
