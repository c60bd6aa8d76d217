// Queries about processes. There is one.
#include "lab/nt/ps/process.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ps {
namespace {

using namespace std::string_view_literals;

// [Windows: PsGetProcessId] The same on every system, and used by many tools.
constexpr std::uint64_t system_process_id = 4;

constinit const ob::ObjectType process_type{.name = "process"sv};

/// Reports a pointer that is not a process's: it has no such field.
const ke::Kprocess& process_at(examiner::FunctionName function, const void* body) {
    if (!is_process(body)) {
        rtl::Sentence detail{function};
        detail.put(" was given ").hex(std::bit_cast<std::uint64_t>(body));
        ke::bug_check({.code = ke::BugCheckCode::reference_by_pointer,
                       .parameters = {std::bit_cast<std::uint64_t>(&process_type),
                                      std::bit_cast<std::uint64_t>(body)},
                       .detail = detail.put(", which is no process").view()});
    }
    return *static_cast<const ke::Kprocess*>(body);
}

}  // namespace

bool is_process(const void* body) {
    const ob::Object* const object = ob::find_object(body);
    return object != nullptr && object->type == &process_type;
}

/// [Windows: PsInitialSystemProcess] A variable that holds the System process's address.
NT_EXPORT constinit ke::Kprocess* PsInitialSystemProcess{};

/// [Windows: PsProcessType] What ObReferenceObjectByHandle compares with.
NT_EXPORT constinit const ob::ObjectType* PsProcessType{&process_type};

void announce_system_process() {
    ke::Kprocess& system = *ke::current_thread().process;
    system.unique_process_id = system_process_id;
    std::ranges::copy("System"sv, system.image_file_name.begin());
    PsInitialSystemProcess = &system;
    static_cast<void>(ob::make_object(process_type, &system));  // the first object of all
}

/// [Windows: PsGetCurrentProcess] The macro PsGetCurrentProcess calls it.
NT_EXPORT ke::Kprocess* IoGetCurrentProcess() {
    examiner::check_stack("IoGetCurrentProcess", examiner::caller(__builtin_return_address(0)));
    return ke::current_thread().process;
}

/// Undocumented. The process that the thread belongs to, wherever it is attached.
NT_EXPORT ke::Kprocess* PsGetCurrentThreadProcess() {
    examiner::check_stack("PsGetCurrentThreadProcess",
                          examiner::caller(__builtin_return_address(0)));
    return ke::current_thread().process;
}

/// [Windows: PsGetCurrentProcessId]
NT_EXPORT std::uint64_t PsGetCurrentProcessId() {
    examiner::check_stack("PsGetCurrentProcessId", examiner::caller(__builtin_return_address(0)));
    return ke::current_thread().process->unique_process_id;
}

/// [Windows: PsGetProcessId]
NT_EXPORT std::uint64_t PsGetProcessId(const void* process) {
    examiner::check_stack("PsGetProcessId", examiner::caller(__builtin_return_address(0)));
    return process_at("PsGetProcessId", process).unique_process_id;
}

/// Undocumented: at most 15 characters, and a zero after them.
NT_EXPORT const char* PsGetProcessImageFileName(const void* process) {
    examiner::check_stack("PsGetProcessImageFileName",
                          examiner::caller(__builtin_return_address(0)));
    return process_at("PsGetProcessImageFileName", process).image_file_name.data();
}

/// [Windows: PsLookupProcessByProcessId] With a reference, which the driver must release.
NT_EXPORT rtl::NtStatus PsLookupProcessByProcessId(std::uint64_t id, ke::Kprocess** process) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::apc,
                                 {"PsLookupProcessByProcessId", examiner::api_irql, caller});
    if (id != system_process_id) {
        return rtl::status_invalid_cid;
    }
    ob::reference_for_driver(*ob::find_object(PsInitialSystemProcess), caller);
    *process = PsInitialSystemProcess;
    return rtl::status_success;
}

}  // namespace hvp::lab::ps
