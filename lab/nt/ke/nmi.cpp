// KeRegisterNmiCallback, KeDeregisterNmiCallback.
#include "lab/nt/ke/nmi.hpp"

#include <array>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"
#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::ke {
namespace {

using Routine = rtl::Boolean (*)(void* context, rtl::Boolean handled);

struct NmiCallback {
    /// Null: this record is free. Written last, as an NMI comes whenever it likes.
    Routine routine{};
    void* context{};
    std::uint64_t registered_by{};
};

constinit std::array<NmiCallback, 8> nmi_callbacks{};

}  // namespace

bool call_nmi_callbacks() {
    rtl::Boolean handled = 0;
    for (const NmiCallback& one : nmi_callbacks) {
        if (const Routine routine = __atomic_load_n(&one.routine, __ATOMIC_ACQUIRE)) {
            handled |= routine(one.context, handled);
        }
    }
    return handled != 0;
}

void report_left_nmi_callbacks() {
    for (NmiCallback& one : nmi_callbacks) {
        if (one.routine != nullptr) {
            examiner::report_left_callback(rtl::Sentence{"an NMI callback is still registered"},
                                           one.registered_by);
            one = {};
        }
    }
}

/// [Windows: KeRegisterNmiCallback]
///
/// Returns  null if there are too many
NT_EXPORT void* KeRegisterNmiCallback(Routine routine, void* context) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(Irql::apc, {"KeRegisterNmiCallback", examiner::api_irql, caller});
    for (NmiCallback& one : nmi_callbacks) {
        std::uint64_t free = 0;
        if (one.routine == nullptr &&
            __atomic_compare_exchange_n(&one.registered_by, &free, caller, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            one.context = context;
            __atomic_store_n(&one.routine, routine, __ATOMIC_RELEASE);
            return &one;
        }
    }
    return nullptr;
}

/// [Windows: KeDeregisterNmiCallback]
NT_EXPORT rtl::NtStatus KeDeregisterNmiCallback(void* handle) {
    examiner::check_irql_at_most(Irql::apc, {"KeDeregisterNmiCallback", examiner::api_irql,
                                             examiner::caller(__builtin_return_address(0))});
    for (NmiCallback& one : nmi_callbacks) {
        if (&one == handle && one.routine != nullptr) {
            __atomic_store_n(&one.routine, nullptr, __ATOMIC_RELEASE);
            __atomic_store_n(&one.registered_by, 0, __ATOMIC_RELEASE);
            return rtl::status_success;
        }
    }
    return rtl::status_invalid_handle;
}

}  // namespace hvp::lab::ke
