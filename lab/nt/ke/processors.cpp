// What a driver may ask about processors, and where its thread runs.
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/processor_number.hpp"
#include "lab/nt/ke/scheduler.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::ke {
namespace {

constexpr std::uint16_t all_groups = 0xFFFF;

}  // namespace

/// [Windows: KeGetCurrentProcessorNumberEx]
NT_EXPORT std::uint32_t KeGetCurrentProcessorNumberEx(ProcessorNumber* number) {
    examiner::check_stack("KeGetCurrentProcessorNumberEx",
                          examiner::caller(__builtin_return_address(0)));
    const std::uint32_t here = current_processor_number();
    if (number != nullptr) {
        *number = {.number = static_cast<std::uint8_t>(here)};
    }
    return here;
}

/// [Windows: KeQueryActiveProcessorCount]
NT_EXPORT std::uint32_t KeQueryActiveProcessorCount(std::uint64_t* mask) {
    examiner::check_stack("KeQueryActiveProcessorCount",
                          examiner::caller(__builtin_return_address(0)));
    if (mask != nullptr) {
        *mask = active_processors();
    }
    return processor_count();
}

/// [Windows: KeQueryActiveProcessors]
NT_EXPORT std::uint64_t KeQueryActiveProcessors() {
    examiner::check_stack("KeQueryActiveProcessors", examiner::caller(__builtin_return_address(0)));
    return active_processors();
}

/// [Windows: KeQueryActiveProcessorCountEx] 0 for a group that does not exist.
NT_EXPORT std::uint32_t KeQueryActiveProcessorCountEx(std::uint16_t group) {
    examiner::check_stack("KeQueryActiveProcessorCountEx",
                          examiner::caller(__builtin_return_address(0)));
    return group == 0 || group == all_groups ? processor_count() : 0;
}

/// [Windows: KeGetProcessorNumberFromIndex]
NT_EXPORT rtl::NtStatus KeGetProcessorNumberFromIndex(std::uint32_t index,
                                                      ProcessorNumber* number) {
    examiner::check_stack("KeGetProcessorNumberFromIndex",
                          examiner::caller(__builtin_return_address(0)));
    if (index >= processor_count()) {
        return rtl::status_invalid_parameter;
    }
    *number = {.number = static_cast<std::uint8_t>(index)};
    return rtl::status_success;
}

/// [Windows: KeGetProcessorIndexFromNumber] INVALID_PROCESSOR_INDEX for what is not there.
NT_EXPORT std::uint32_t KeGetProcessorIndexFromNumber(const ProcessorNumber* number) {
    examiner::check_stack("KeGetProcessorIndexFromNumber",
                          examiner::caller(__builtin_return_address(0)));
    constexpr std::uint32_t invalid_index = 0xFFFF'FFFF;
    const bool exists =
        number->group == 0 && number->reserved == 0 && number->number < processor_count();
    return exists ? number->number : invalid_index;
}

/// [Windows: KeGetCurrentNodeNumber] There is one NUMA node.
NT_EXPORT std::uint16_t KeGetCurrentNodeNumber() {
    examiner::check_stack("KeGetCurrentNodeNumber", examiner::caller(__builtin_return_address(0)));
    return 0;
}

/// [Windows: KeSetSystemAffinityThread]
NT_EXPORT void KeSetSystemAffinityThread(std::uint64_t mask) {
    examiner::check_irql_at_most(Irql::dispatch, {"KeSetSystemAffinityThread", examiner::api_irql,
                                                  examiner::caller(__builtin_return_address(0))});
    if ((mask & active_processors()) == 0) {
        bug_check({.code = BugCheckCode::invalid_affinity_set,
                   .parameters = {mask},
                   .detail = "KeSetSystemAffinityThread: no active processor in the mask"});
    }
    bind_current_thread(mask & active_processors());
}

/// [Windows: KeRevertToUserAffinityThread]
NT_EXPORT void KeRevertToUserAffinityThread() {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeRevertToUserAffinityThread", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    bind_current_thread(0);
}

/// [Windows: KeSetSystemAffinityThreadEx] A mask without an active processor changes nothing.
NT_EXPORT std::uint64_t KeSetSystemAffinityThreadEx(std::uint64_t mask) {
    examiner::check_irql_at_most(Irql::dispatch, {"KeSetSystemAffinityThreadEx", examiner::api_irql,
                                                  examiner::caller(__builtin_return_address(0))});
    if ((mask & active_processors()) == 0) {
        return 0;
    }
    return bind_current_thread(mask & active_processors());
}

/// [Windows: KeRevertToUserAffinityThreadEx] 0 restores the user affinity.
NT_EXPORT void KeRevertToUserAffinityThreadEx(std::uint64_t affinity) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeRevertToUserAffinityThreadEx", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    bind_current_thread(affinity & active_processors());
}

/// [Windows: KeSetSystemGroupAffinityThread] Without an active processor in the mask nothing
/// changes and `previous` becomes zero.
NT_EXPORT void KeSetSystemGroupAffinityThread(const GroupAffinity* wanted,
                                              GroupAffinity* previous) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeSetSystemGroupAffinityThread", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    GroupAffinity before{};
    if (wanted->group == 0 && (wanted->mask & active_processors()) != 0) {
        before.mask = bind_current_thread(wanted->mask & active_processors());
    }
    if (previous != nullptr) {
        *previous = before;
    }
}

/// [Windows: KeRevertToUserGroupAffinityThread]
NT_EXPORT void KeRevertToUserGroupAffinityThread(const GroupAffinity* previous) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeRevertToUserGroupAffinityThread", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    if (previous->group == 0) {
        bind_current_thread(previous->mask & active_processors());
    }
}

}  // namespace hvp::lab::ke
