// The rules of the interface to drivers. A broken rule is reported as a finding and the run goes
// on, so that one run shows all of them; a run with findings has failed.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "lab/nt/ke/irql.hpp"
#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::examiner {

/// First parameter of bug check 0xC4 with which Driver Verifier would stop; 0: it has none.
/// [Windows: Bug Check 0xC4 DRIVER_VERIFIER_DETECTED_VIOLATION]
using VerifierCode = std::uint32_t;

inline constexpr VerifierCode no_verifier_code = 0xFFFF'FFFF;
inline constexpr VerifierCode zero_bytes = 0x00;
inline constexpr VerifierCode paged_pool_irql = 0x01;
inline constexpr VerifierCode nonpaged_pool_irql = 0x02;
inline constexpr VerifierCode pool_free_irql = 0x12;
inline constexpr VerifierCode raise_downwards = 0x30;
inline constexpr VerifierCode lower_upwards = 0x31;
inline constexpr VerifierCode release_spin_lock_irql = 0x32;
inline constexpr VerifierCode wait_irql = 0x3B;
inline constexpr VerifierCode acquire_at_dpc_level_irql = 0x40;
inline constexpr VerifierCode release_from_dpc_level_irql = 0x41;
inline constexpr VerifierCode acquire_spin_lock_irql = 0x42;
inline constexpr VerifierCode memory_call_irql = 0x70;
inline constexpr VerifierCode map_io_space_irql = 0x73;
inline constexpr VerifierCode map_locked_pages_irql = 0x76;
inline constexpr VerifierCode unlock_pages_irql = 0x78;
inline constexpr VerifierCode unmap_locked_pages_irql = 0x79;
inline constexpr VerifierCode unmap_io_space_irql = 0x7B;
inline constexpr VerifierCode unlock_of_unlocked = 0x7C;
inline constexpr VerifierCode unlock_of_nonpaged = 0x7D;
inline constexpr VerifierCode map_of_unlocked = 0x82;
inline constexpr VerifierCode map_of_free_memory = 0x83;
inline constexpr VerifierCode switched_stack = 0x90;
inline constexpr VerifierCode mdl_freed_in_use = 0xB8;
inline constexpr VerifierCode etw_registration_left = 0xDD;
inline constexpr VerifierCode api_irql = 0xE5;
inline constexpr VerifierCode zw_irql = 0xE6;
inline constexpr VerifierCode null_handle = 0xF5;
inline constexpr VerifierCode writable_executable_section = 0x2003;

/// The name of an export. Its length is computed at compile time, not at each call of the export.
class FunctionName {
public:
    consteval FunctionName(const char* literal) : text_{literal} {}
    constexpr operator std::string_view() const { return text_; }

private:
    std::string_view text_;
};

/// The export, the rule, and the caller.
struct Call {
    FunctionName function;
    VerifierCode verifier{no_verifier_code};
    std::uint64_t caller{};
};

/// Use as caller(__builtin_return_address(0)) in an export.
[[nodiscard]] inline std::uint64_t caller(const void* return_address) {
    return std::bit_cast<std::uint64_t>(return_address);
}

/// Reports that a rule was broken.
void report_finding(std::string_view rule, const rtl::Sentence& detail, VerifierCode verifier,
                    std::uint64_t caller);

/// Reports a routine that the driver has registered and left, with the place where it did so.
void report_left_callback(const rtl::Sentence& detail, std::uint64_t registered_by);

/// The call comes on the running thread's stack, or on one of the processor's interrupt stacks. A
/// hypervisor that calls Windows from VMX root operation has a stack of its own, and is detected
/// here.
void check_stack(FunctionName function, std::uint64_t caller);

/// The call is allowed up to this IRQL, and on stacks that the kernel knows.  [Windows: Managing
/// Hardware Priorities]
void check_irql_at_most(ke::Irql highest, const Call& call);

/// Whether this allocation is the one that `--fail-allocation` lets fail; if so, reports it.
[[nodiscard]] bool must_fail_allocation(FunctionName function);

/// The number of the allocation that fails, counted from 1 over all loads; 0: none.
void order_allocation_failure(std::uint64_t number);

}  // namespace hvp::lab::examiner
