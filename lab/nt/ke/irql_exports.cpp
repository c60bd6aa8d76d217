// KeGetCurrentIrql, KfRaiseIrql, KeLowerIrql, KeRaiseIrqlToDpcLevel: all of them are CR8.
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ke {
namespace {

std::uint64_t level(Irql irql) {
    return static_cast<std::uint64_t>(irql);
}

void report_wrong_way(examiner::FunctionName function, Irql from, Irql to,
                      const examiner::Call& call) {
    rtl::Sentence detail{function};
    detail.put(" went from IRQL ").decimal(level(from)).put(" to ").decimal(level(to));
    examiner::report_finding("IrqlWrongWay", detail, call.verifier, call.caller);
}

Irql raise_to(Irql wanted, examiner::FunctionName function, std::uint64_t caller) {
    examiner::check_stack(function, caller);
    const Irql old = current_irql();
    if (old > wanted) {
        report_wrong_way(function, old, wanted, {function, examiner::raise_downwards, caller});
    }
    set_irql(wanted);
    return old;
}

}  // namespace

/// [Windows: KeGetCurrentIrql]
NT_EXPORT Irql KeGetCurrentIrql() {
    examiner::check_stack("KeGetCurrentIrql", examiner::caller(__builtin_return_address(0)));
    return current_irql();
}

/// [Windows: KeRaiseIrql] The macro KeRaiseIrql calls it.
NT_EXPORT Irql KfRaiseIrql(Irql wanted) {
    return raise_to(wanted, "KeRaiseIrql", examiner::caller(__builtin_return_address(0)));
}

/// [Windows: KeLowerIrql]
NT_EXPORT void KeLowerIrql(Irql wanted) {
    examiner::check_stack("KeLowerIrql", examiner::caller(__builtin_return_address(0)));
    const Irql old = current_irql();
    if (old < wanted) {
        report_wrong_way("KeLowerIrql", old, wanted,
                         {"KeLowerIrql", examiner::lower_upwards,
                          examiner::caller(__builtin_return_address(0))});
    }
    set_irql(wanted);
}

/// [Windows: KeRaiseIrqlToDpcLevel]
NT_EXPORT Irql KeRaiseIrqlToDpcLevel() {
    return raise_to(Irql::dispatch, "KeRaiseIrqlToDpcLevel",
                    examiner::caller(__builtin_return_address(0)));
}

}  // namespace hvp::lab::ke
