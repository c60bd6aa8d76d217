// Bug checks that the kernel raises, with Microsoft's names and the meaning of their parameters.
// [Windows: Bug Check Code Reference]
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace hvp::lab::ke {

using namespace std::string_view_literals;

enum class BugCheckCode : std::uint32_t {
    invalid_affinity_set = 0x03,
    invalid_process_attach_attempt = 0x05,
    invalid_process_detach_attempt = 0x06,
    irql_not_less_or_equal = 0x0A,
    spin_lock_already_owned = 0x0F,
    trap_cause_unknown = 0x12,
    reference_by_pointer = 0x18,
    kmode_exception_not_handled = 0x1E,
    page_fault_in_nonpaged_area = 0x50,
    system_thread_exception_not_handled = 0x7E,
    unexpected_kernel_mode_trap = 0x7F,
    nmi_hardware_failure = 0x80,
    machine_check_exception = 0x9C,
    attempted_switch_from_dpc = 0xB8,
    attempted_write_to_readonly_memory = 0xBE,
    special_pool_detected_memory_corruption = 0xC1,
    bad_pool_caller = 0xC2,
    driver_page_fault_in_freed_special_pool = 0xD5,
    driver_page_fault_beyond_end_of_allocation = 0xD6,
    irql_unexpected_value = 0xC8,
    driver_unloaded_without_cancelling_pending_operations = 0xCE,
    driver_irql_not_less_or_equal = 0xD1,
    manually_initiated_crash = 0xE2,
    attempted_execute_of_noexecute_memory = 0xFC,
    kernel_security_check_failure = 0x139,
    exception_on_invalid_stack = 0x1AA,
    thread_terminate_held_mutex = 0x4000'008A,
};

/// A code and what its parameters mean; empty: nothing.
struct BugCheckFacts {
    BugCheckCode code{};
    std::string_view name{};
    std::array<std::string_view, 4> meaning{};
};

inline constexpr auto bug_check_facts = std::to_array<BugCheckFacts>({
    {BugCheckCode::invalid_affinity_set, "INVALID_AFFINITY_SET"sv, {""sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::invalid_process_attach_attempt,
     "INVALID_PROCESS_ATTACH_ATTEMPT"sv,
     {"address that was taken for a process"sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::invalid_process_detach_attempt,
     "INVALID_PROCESS_DETACH_ATTEMPT"sv,
     {""sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::irql_not_less_or_equal,
     "IRQL_NOT_LESS_OR_EQUAL"sv,
     {"address that was referenced"sv, "IRQL at that time"sv,
      "bit 0: 0 read, 1 write; bit 3: execute"sv, "instruction that referenced it"sv}},
    {BugCheckCode::spin_lock_already_owned,
     "SPIN_LOCK_ALREADY_OWNED"sv,
     {"address of the spin lock"sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::trap_cause_unknown,
     "TRAP_CAUSE_UNKNOWN"sv,
     {"vector of the unexpected interrupt"sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::reference_by_pointer,
     "REFERENCE_BY_POINTER"sv,
     {"type of the object"sv, "address that was taken for an object"sv, ""sv, ""sv}},
    {BugCheckCode::kmode_exception_not_handled,
     "KMODE_EXCEPTION_NOT_HANDLED"sv,
     {"exception code"sv, "instruction that raised it"sv, "exception information 0"sv,
      "exception information 1"sv}},
    {BugCheckCode::page_fault_in_nonpaged_area,
     "PAGE_FAULT_IN_NONPAGED_AREA"sv,
     {"address that was referenced"sv, "0 read, 2 write, 0x10 execute"sv,
      "instruction that referenced it"sv, "0 the page is not present, 2 there is no page table"sv}},
    {BugCheckCode::system_thread_exception_not_handled,
     "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED"sv,
     {"exception code"sv, "instruction that raised it"sv, "address of the exception record"sv,
      "address of the context record"sv}},
    {BugCheckCode::unexpected_kernel_mode_trap,
     "UNEXPECTED_KERNEL_MODE_TRAP"sv,
     {"vector: 8 is a double fault, most often a stack that overflowed"sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::nmi_hardware_failure, "NMI_HARDWARE_FAILURE"sv, {""sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::machine_check_exception, "MACHINE_CHECK_EXCEPTION"sv, {""sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::attempted_switch_from_dpc,
     "ATTEMPTED_SWITCH_FROM_DPC"sv,
     {"thread that was to wait"sv, "thread that was to run"sv, "stack of the first one"sv, ""sv}},
    {BugCheckCode::attempted_write_to_readonly_memory,
     "ATTEMPTED_WRITE_TO_READONLY_MEMORY"sv,
     {"address of the write"sv, "page-table entry"sv, ""sv, ""sv}},
    {BugCheckCode::special_pool_detected_memory_corruption,
     "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION"sv,
     {"address of the block"sv, "first byte that was overwritten"sv, ""sv,
      "0x23 before the block, 0x24 after its end"sv}},
    {BugCheckCode::bad_pool_caller,
     "BAD_POOL_CALLER"sv,
     {"0 zero bytes, 7 freed twice, 0xA another tag, 0x46 never allocated, 0x60 not from "
      "contiguous memory, 0x9B tag 0"sv,
      "for 7 and 0x46: 0; for 0xA: address; for 0x60: address"sv,
      "for 7: tag; for 0xA: tag of the block"sv, "for 7 and 0x46: address; for 0xA: tag given"sv}},
    {BugCheckCode::irql_unexpected_value,
     "IRQL_UNEXPECTED_VALUE"sv,
     {"current IRQL << 16 | expected IRQL << 8"sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::driver_unloaded_without_cancelling_pending_operations,
     "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS"sv,
     {"address that was referenced"sv, "0 read, 1 write"sv, "instruction that referenced it"sv,
      ""sv}},
    {BugCheckCode::driver_irql_not_less_or_equal,
     "DRIVER_IRQL_NOT_LESS_OR_EQUAL"sv,
     {"address that was referenced"sv, "IRQL at that time"sv, "0 read, 1 write, 8 execute"sv,
      "instruction that referenced it"sv}},
    {BugCheckCode::driver_page_fault_in_freed_special_pool,
     "DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL"sv,
     {"address that was referenced"sv, "0 read, 1 write"sv, "instruction that referenced it"sv,
      ""sv}},
    {BugCheckCode::driver_page_fault_beyond_end_of_allocation,
     "DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION"sv,
     {"address that was referenced"sv, "0 read, 1 write"sv, "instruction that referenced it"sv,
      ""sv}},
    {BugCheckCode::manually_initiated_crash,
     "MANUALLY_INITIATED_CRASH"sv,
     {""sv, ""sv, ""sv, ""sv}},
    {BugCheckCode::attempted_execute_of_noexecute_memory,
     "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY"sv,
     {"address of the code"sv, "page-table entry"sv, ""sv, ""sv}},
    {BugCheckCode::kernel_security_check_failure,
     "KERNEL_SECURITY_CHECK_FAILURE"sv,
     {"fast-fail code, ECX of int 29h: 2 stack cookie, 3 list entry, 5 invalid argument, "
      "6 cookie not initialised"sv,
      ""sv, ""sv, ""sv}},
    {BugCheckCode::exception_on_invalid_stack,
     "EXCEPTION_ON_INVALID_STACK"sv,
     {"stack pointer"sv, ""sv, "address of the context record"sv,
      "address of the exception record"sv}},
    {BugCheckCode::thread_terminate_held_mutex,
     "THREAD_TERMINATE_HELD_MUTEX"sv,
     {"thread that ends"sv, "mutex that it owns"sv, ""sv, ""sv}},
});

/// Facts about a code; a driver's own code has none.
[[nodiscard]] constexpr BugCheckFacts facts_about(BugCheckCode code) {
    const auto* found = std::ranges::find(bug_check_facts, code, &BugCheckFacts::code);
    return found != bug_check_facts.end() ? *found : BugCheckFacts{code, "not in the table"sv, {}};
}

}  // namespace hvp::lab::ke
