// KeStackAttachProcess, KeUnstackDetachProcess. The System process is the only one, and every
// thread runs in it already, so CR3 does not change.
#include <array>
#include <bit>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/ps/process.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::ps {
namespace {

/// KAPC_STATE, which is opaque to drivers.  [Windows: public symbols]
struct ApcState {
    std::array<rtl::ListEntry, 2> lists{};
    std::uint64_t process{};
    std::array<std::uint8_t, 8> flags{};
};
static_assert(sizeof(ApcState) == 0x30);

/// The value that Windows stores for a thread that was in the process already.
constexpr std::uint64_t nothing_to_undo = 1;

}  // namespace

/// [Windows: KeStackAttachProcess]
NT_EXPORT void KeStackAttachProcess(const void* process, ApcState* state) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::apc,
                                 {"KeStackAttachProcess", examiner::api_irql, caller});
    if (!is_process(process)) {
        rtl::Sentence detail{"KeStackAttachProcess was given something that is no process"};
        ke::bug_check({.code = ke::BugCheckCode::invalid_process_attach_attempt,
                       .parameters = {std::bit_cast<std::uint64_t>(process)},
                       .detail = detail.view()});
    }
    *state = {.process = nothing_to_undo};
}

/// [Windows: KeUnstackDetachProcess] With the state that the attaching call has filled.
NT_EXPORT void KeUnstackDetachProcess(ApcState* state) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::apc,
                                 {"KeUnstackDetachProcess", examiner::api_irql, caller});
    if (state->process != nothing_to_undo) {
        ke::bug_check({.code = ke::BugCheckCode::invalid_process_detach_attempt,
                       .detail = "the state is of no KeStackAttachProcess, or was used before"});
    }
    *state = {};
}

}  // namespace hvp::lab::ps
