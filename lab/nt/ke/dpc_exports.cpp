// KeInitializeDpc, KeInsertQueueDpc, KeRemoveQueueDpc, KeSetTargetProcessorDpc,
// KeSetTargetProcessorDpcEx, KeSetImportanceDpc, KeFlushQueuedDpcs.
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/dpc.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/ke/processor_number.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {

/// [Windows: KeInitializeDpc] Any IRQL.
NT_EXPORT void KeInitializeDpc(Kdpc* dpc, DpcRoutine routine, void* context) {
    examiner::check_stack("KeInitializeDpc", examiner::caller(__builtin_return_address(0)));
    constexpr std::uint8_t dpc_object = 19;  // [Windows: KOBJECTS, public symbols]
    *dpc = {.type = dpc_object,
            .importance = DpcImportance::medium,
            .routine = routine,
            .context = context};
}

/// [Windows: KeInsertQueueDpc] Any IRQL.
///
/// Returns  FALSE if it was queued already; nothing has changed then
NT_EXPORT rtl::Boolean KeInsertQueueDpc(Kdpc* dpc, void* argument_1, void* argument_2) {
    examiner::check_stack("KeInsertQueueDpc", examiner::caller(__builtin_return_address(0)));
    return queue_dpc(*dpc, argument_1, argument_2) ? 1 : 0;
}

/// [Windows: KeRemoveQueueDpc] Any IRQL.
///
/// Returns  TRUE if it was queued
NT_EXPORT rtl::Boolean KeRemoveQueueDpc(Kdpc* dpc) {
    examiner::check_stack("KeRemoveQueueDpc", examiner::caller(__builtin_return_address(0)));
    return unqueue_dpc(*dpc) ? 1 : 0;
}

/// [Windows: KeSetTargetProcessorDpc] Any IRQL. A number without a processor changes nothing.
NT_EXPORT void KeSetTargetProcessorDpc(Kdpc* dpc, std::int8_t number) {
    examiner::check_stack("KeSetTargetProcessorDpc", examiner::caller(__builtin_return_address(0)));
    if (number >= 0 && static_cast<std::uint32_t>(number) < processor_count()) {
        dpc->target = static_cast<std::uint16_t>(number + 1);
    }
}

/// [Windows: KeSetTargetProcessorDpcEx] Any IRQL.
NT_EXPORT rtl::NtStatus KeSetTargetProcessorDpcEx(Kdpc* dpc, const ProcessorNumber* number) {
    examiner::check_stack("KeSetTargetProcessorDpcEx",
                          examiner::caller(__builtin_return_address(0)));
    if (number->group != 0 || number->reserved != 0 || number->number >= processor_count()) {
        return rtl::status_invalid_parameter;
    }
    dpc->target = static_cast<std::uint16_t>(number->number + 1);
    return rtl::status_success;
}

/// [Windows: KeSetImportanceDpc] Any IRQL.
NT_EXPORT void KeSetImportanceDpc(Kdpc* dpc, std::uint32_t importance) {
    examiner::check_stack("KeSetImportanceDpc", examiner::caller(__builtin_return_address(0)));
    dpc->importance = static_cast<DpcImportance>(importance);
}

/// [Windows: KeFlushQueuedDpcs]
NT_EXPORT void KeFlushQueuedDpcs() {
    examiner::check_irql_at_most(Irql::passive, {"KeFlushQueuedDpcs", examiner::api_irql,
                                                 examiner::caller(__builtin_return_address(0))});
    flush_dpcs();
}

}  // namespace hvp::lab::ke
