// What a driver may ask about processors, and where its thread runs. One processor is active: its
// number is 0, its group is 0.
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/current_processor.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::ke {
namespace {

constexpr std::uint64_t active_processors = 1;  // one bit for each
constexpr std::uint16_t all_groups = 0xFFFF;

/// [Windows: PROCESSOR_NUMBER]
struct ProcessorNumber {
    std::uint16_t group{};
    std::uint8_t number{};
    std::uint8_t reserved{};
};

/// [Windows: GROUP_AFFINITY]
struct GroupAffinity {
    std::uint64_t mask{};
    std::uint16_t group{};
    std::uint16_t reserved[3]{};
};

/// Moves the thread to a processor of the mask, which with one processor is where it is.
///
/// Returns  the system affinity before; 0 if it was the user's
std::uint64_t set_affinity(std::uint64_t mask) {
    Kthread& self = current_thread();
    const std::uint64_t before = self.system_affinity;
    self.system_affinity = mask;
    return before;
}

}  // namespace

/// [Windows: KeNumberProcessors] Data, and obsolete: a char.
extern "C" __declspec(dllexport) constinit char KeNumberProcessors = 1;

/// [Windows: KeGetCurrentProcessorNumberEx]
NT_EXPORT std::uint32_t KeGetCurrentProcessorNumberEx(ProcessorNumber* number) {
    if (number != nullptr) {
        *number = {.number = static_cast<std::uint8_t>(current_processor_number())};
    }
    return current_processor_number();
}

/// [Windows: KeQueryActiveProcessorCount]
NT_EXPORT std::uint32_t KeQueryActiveProcessorCount(std::uint64_t* mask) {
    if (mask != nullptr) {
        *mask = active_processors;
    }
    return 1;
}

/// [Windows: KeQueryActiveProcessorCountEx] 0 for a group that does not exist.
NT_EXPORT std::uint32_t KeQueryActiveProcessorCountEx(std::uint16_t group) {
    return group == 0 || group == all_groups ? 1 : 0;
}

/// [Windows: KeGetProcessorNumberFromIndex]
NT_EXPORT rtl::NtStatus KeGetProcessorNumberFromIndex(std::uint32_t index,
                                                      ProcessorNumber* number) {
    if (index != 0) {
        return rtl::status_invalid_parameter;
    }
    *number = {};
    return rtl::status_success;
}

/// [Windows: KeSetSystemAffinityThreadEx] A mask without an active processor changes nothing.
NT_EXPORT std::uint64_t KeSetSystemAffinityThreadEx(std::uint64_t mask) {
    examiner::check_irql_at_most(Irql::dispatch, {"KeSetSystemAffinityThreadEx", examiner::api_irql,
                                                  examiner::caller(__builtin_return_address(0))});
    if ((mask & active_processors) == 0) {
        return 0;
    }
    return set_affinity(mask & active_processors);
}

/// [Windows: KeRevertToUserAffinityThreadEx] 0 gives the user's affinity back.
NT_EXPORT void KeRevertToUserAffinityThreadEx(std::uint64_t affinity) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeRevertToUserAffinityThreadEx", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    set_affinity(affinity & active_processors);
}

/// [Windows: KeSetSystemGroupAffinityThread] Without an active processor in the mask nothing
/// changes and `previous` becomes zero.
NT_EXPORT void KeSetSystemGroupAffinityThread(const GroupAffinity* wanted,
                                              GroupAffinity* previous) {
    examiner::check_irql_at_most(Irql::dispatch,
                                 {"KeSetSystemGroupAffinityThread", examiner::api_irql,
                                  examiner::caller(__builtin_return_address(0))});
    GroupAffinity before{};
    if (wanted->group == 0 && (wanted->mask & active_processors) != 0) {
        before.mask = set_affinity(wanted->mask & active_processors);
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
        set_affinity(previous->mask & active_processors);
    }
}

/// [Windows: KeStallExecutionProcessor] A loop of three instructions; not RDTSC, which would write
/// a line into the emulator's log each time.
NT_EXPORT void KeStallExecutionProcessor(std::uint32_t microseconds) {
    constexpr std::uint64_t instructions_per_microsecond = 100;
    std::uint64_t turns = microseconds * instructions_per_microsecond / 3;
    while (turns != 0) {
        --turns;
        arch::pause();
    }
}

}  // namespace hvp::lab::ke
