// Reports broken rules.
#include "lab/nt/examiner/rules.hpp"

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/examiner/verdict.hpp"
#include "lab/nt/ke/thread.hpp"

namespace hvp::lab::examiner {
namespace {

constinit std::uint64_t failing_allocation{};
constinit std::uint64_t allocations{};

}  // namespace

void report_finding(std::string_view rule, const rtl::Sentence& detail, VerifierCode verifier,
                    std::uint64_t caller) {
    verdict().note_finding();
    dbg::Event event{"Finding"};
    event.text("rule", rule).text("detail", detail.view());
    if (verifier != no_verifier_code) {
        constexpr std::uint64_t driver_verifier_detected_violation = 0xC4;
        event.hex("bug_check", driver_verifier_detected_violation).hex("parameter_1", verifier);
    }
    event.hex("caller", caller);
}

void report_left_callback(const rtl::Sentence& detail, std::uint64_t registered_by) {
    report_finding("CallbackLeft", detail, no_verifier_code, registered_by);
}

void check_stack(FunctionName function, std::uint64_t caller) {
    const auto rsp = std::bit_cast<std::uint64_t>(__builtin_frame_address(0));
    if (ke::is_known_stack(mm::LinearAddress{rsp})) {
        return;
    }
    rtl::Sentence detail{function};
    detail.put(" was called with RSP ").hex(rsp).put(" on no stack of the kernel's");
    report_finding("UnknownStack", detail, switched_stack, caller);
}

void check_irql_at_most(ke::Irql highest, const Call& call) {
    check_stack(call.function, call.caller);
    const ke::Irql now = ke::current_irql();
    if (now <= highest) {
        return;
    }
    rtl::Sentence detail;
    detail.put(call.function).put(" was called at IRQL ");
    detail.decimal(static_cast<std::uint64_t>(now)).put(" (").put(name_of(now));
    detail.put("); it is allowed up to ").put(name_of(highest));
    report_finding("IrqlTooHigh", detail, call.verifier, call.caller);
}

bool must_fail_allocation(FunctionName function) {
    const std::uint64_t number = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    if (number != failing_allocation) {
        return false;
    }
    dbg::Event{"AllocationFailed"}.number("number", number).text("function", function);
    return true;
}

void order_allocation_failure(std::uint64_t number) {
    failing_allocation = number;
}

}  // namespace hvp::lab::examiner
