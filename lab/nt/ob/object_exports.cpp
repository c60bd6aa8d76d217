// ObfReferenceObject, ObfDereferenceObject, ObReferenceObjectByHandle, ZwClose.
#include <bit>
#include <cstdint>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/rtl/export.hpp"

namespace hvp::lab::ob {
namespace {

constexpr Handle current_process = ~0ULL;
constexpr Handle current_thread = ~1ULL;

/// A pointer to something else, or a dereference too many: on Windows the count would be wrong.
[[noreturn]] void refuse(examiner::FunctionName function, std::uint64_t body) {
    rtl::Sentence detail{function};
    detail.put(" was given ").hex(body).put(", which is no object, or one that has ended");
    ke::bug_check({.code = ke::BugCheckCode::reference_by_pointer,
                   .parameters = {0, body},
                   .detail = detail.view()});
}

Object& object_at(examiner::FunctionName function, std::uint64_t body, std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::dispatch, {function, examiner::api_irql, caller});
    Object* const object = find_object(std::bit_cast<const void*>(body));
    if (object == nullptr) {
        refuse(function, body);
    }
    return *object;
}

Object* object_of_handle(Handle handle) {
    if (handle == current_process) {
        return find_object(ke::current_thread().process);
    }
    return handle == current_thread ? find_object(&ke::current_thread()) : object_of(handle);
}

void report_no_handle(examiner::FunctionName function, Handle handle, std::uint64_t caller) {
    rtl::Sentence detail{function};
    detail.put(" was given ").hex(handle).put(", which is no open handle");
    examiner::report_finding("InvalidHandle", detail,
                             handle == 0 ? examiner::null_handle : examiner::no_verifier_code,
                             caller);
}

}  // namespace

/// [Windows: ObReferenceObject] The macro ObReferenceObject calls it.
///
/// Returns  the count after the call, which drivers must not rely on
NT_EXPORT std::uint64_t ObfReferenceObject(std::uint64_t body) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    Object& object = object_at("ObReferenceObject", body, caller);
    reference_for_driver(object, caller);
    return object.references;
}

/// [Windows: ObDereferenceObject]
NT_EXPORT std::uint64_t ObfDereferenceObject(std::uint64_t body) {
    Object& object =
        object_at("ObDereferenceObject", body, examiner::caller(__builtin_return_address(0)));
    if (object.driver_references <= 0) {
        refuse("ObDereferenceObject", body);
    }
    const std::uint64_t left = object.references - 1;
    dereference_for_driver(object);
    return left;
}

/// [Windows: ObReferenceObjectByHandle] Access rights are not checked in kernel mode.
NT_EXPORT rtl::NtStatus ObReferenceObjectByHandle(Handle handle, std::uint32_t /*access*/,
                                                  const ObjectType* type, std::uint8_t /*mode*/,
                                                  void** body, void* /*information*/) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive,
                                 {"ObReferenceObjectByHandle", examiner::api_irql, caller});
    *body = nullptr;
    Object* const object = object_of_handle(handle);
    if (object == nullptr) {
        report_no_handle("ObReferenceObjectByHandle", handle, caller);
        return rtl::status_invalid_handle;
    }
    if (type != nullptr && type != object->type) {
        return rtl::status_object_type_mismatch;
    }
    reference_for_driver(*object, caller);
    *body = object->body;
    return rtl::status_success;
}

/// [Windows: ZwClose] Handles of the current process and thread need no closing.
NT_EXPORT rtl::NtStatus ZwClose(Handle handle) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive, {"ZwClose", examiner::zw_irql, caller});
    if (handle == current_process || handle == current_thread) {
        return rtl::status_success;
    }
    if (!close_handle(handle)) {
        report_no_handle("ZwClose", handle, caller);
        return rtl::status_invalid_handle;
    }
    return rtl::status_success;
}

}  // namespace hvp::lab::ob
