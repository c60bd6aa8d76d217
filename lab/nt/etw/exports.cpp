// EtwRegister, EtwUnregister, EtwSetInformation, EtwProviderEnabled, EtwEventEnabled, EtwWrite,
// EtwWriteTransfer.
#include <bit>
#include <cstdint>

#include "lab/nt/etw/metadata.hpp"
#include "lab/nt/etw/registrations.hpp"
#include "lab/nt/etw/session.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::etw {
namespace {

/// [Windows: EnableCallback]
using EnableCallback = void (*)(const Guid* source, std::uint32_t is_enabled, std::uint8_t level,
                                std::uint64_t any_keyword, std::uint64_t all_keywords,
                                const void* filter, void* context);

constexpr std::uint32_t most_pieces = 128;  // [Windows: EtwWrite]

void check_passive(examiner::FunctionName function, std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::passive, {function, examiner::api_irql, caller});
}

void check_stack_only(examiner::FunctionName function, std::uint64_t caller) {
    examiner::check_irql_at_most(ke::Irql::high, {function, examiner::no_verifier_code, caller});
}

/// A driver whose EtwRegister failed has the handle 0, and may use it as if it had succeeded.
std::optional<Registration> registration_of(Handle handle, examiner::FunctionName function,
                                            std::uint64_t caller) {
    auto found = find_registration(handle);
    if (!found && handle != 0) {
        rtl::Sentence detail{function};
        detail.put(" was given ").hex(handle).put(", which is no registered provider of events");
        examiner::report_finding("NoRegistration", detail, examiner::no_verifier_code, caller);
    }
    return found;
}

struct Write {
    Handle handle{};
    const EventDescriptor* event{};
    std::uint32_t count{};
    const DataDescriptor* pieces{};
};

rtl::NtStatus write(examiner::FunctionName function, const Write& what, std::uint64_t caller) {
    check_stack_only(function, caller);
    const auto registration = registration_of(what.handle, function, caller);
    if (!registration) {
        return rtl::status_invalid_handle;
    }
    if (what.count > most_pieces) {
        rtl::Sentence detail{function};
        detail.put(" was given ").decimal(what.count).put(" pieces; an event has at most 128");
        examiner::report_finding("TraceEventLost", detail, examiner::no_verifier_code, caller);
        return rtl::status_invalid_parameter;
    }
    if (what.event == nullptr || (what.count != 0 && what.pieces == nullptr)) {
        return rtl::status_invalid_parameter;
    }
    record(*registration, *what.event, {what.pieces, what.count}, caller);
    return rtl::status_success;
}

rtl::NtStatus set_traits(Registration& registration, const void* information,
                         std::uint32_t length) {
    const Bytes traits{static_cast<const std::byte*>(information), length};
    // Unknown: the status of a second call. Microsoft says that one is possible.
    if (registration.has_traits || information == nullptr || !provider_name(traits)) {
        return rtl::status_invalid_parameter;
    }
    registration.has_traits = true;
    registration.has_typed_pieces = true;
    return rtl::status_success;
}

rtl::NtStatus set_typed_pieces(Registration& registration, const void* information,
                               std::uint32_t length) {
    if (information == nullptr || length != sizeof(rtl::Boolean)) {
        return rtl::status_invalid_parameter;
    }
    registration.has_typed_pieces = *static_cast<const rtl::Boolean*>(information) != 0;
    return rtl::status_success;
}

}  // namespace

/// [Windows: EtwRegister] The callback is called before it returns, because a session that wants
/// all events is there already.
NT_EXPORT rtl::NtStatus EtwRegister(const Guid* provider, EnableCallback callback, void* context,
                                    Handle* handle) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_passive("EtwRegister", caller);
    if (provider == nullptr || handle == nullptr) {
        return rtl::status_invalid_parameter;
    }
    const auto made = add_registration(*provider, caller);
    if (!made) {
        return rtl::status_insufficient_resources;
    }
    *handle = *made;
    if (callback != nullptr) {
        constexpr std::uint32_t enabled = 1;
        const Guid no_source{};
        callback(&no_source, enabled, session_level, session_any_keyword, session_all_keywords,
                 nullptr, context);
    }
    return rtl::status_success;
}

/// [Windows: EtwUnregister]
NT_EXPORT rtl::NtStatus EtwUnregister(Handle handle) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_passive("EtwUnregister", caller);
    if (!registration_of(handle, "EtwUnregister", caller) || !remove_registration(handle)) {
        return rtl::status_invalid_handle;
    }
    return rtl::status_success;
}

/// [Windows: EtwSetInformation] The classes: [Windows: EVENT_INFO_CLASS enumeration]
NT_EXPORT rtl::NtStatus EtwSetInformation(Handle handle, std::uint32_t information_class,
                                          const void* information, std::uint32_t length) {
    constexpr std::uint32_t traits_class = 2;
    constexpr std::uint32_t descriptor_type_class = 3;
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_passive("EtwSetInformation", caller);
    auto registration = registration_of(handle, "EtwSetInformation", caller);
    if (!registration) {
        return rtl::status_invalid_handle;
    }
    rtl::NtStatus status = rtl::status_invalid_device_request;
    if (information_class == traits_class) {
        status = set_traits(*registration, information, length);
    } else if (information_class == descriptor_type_class) {
        status = set_typed_pieces(*registration, information, length);
    }
    update_registration(*registration);
    return status;
}

/// [Windows: EtwProviderEnabled] The session wants every level and keyword.
NT_EXPORT rtl::Boolean EtwProviderEnabled(Handle handle, std::uint8_t /*level*/,
                                          std::uint64_t /*keyword*/) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_stack_only("EtwProviderEnabled", caller);
    return registration_of(handle, "EtwProviderEnabled", caller) ? 1 : 0;
}

/// [Windows: EtwEventEnabled]
NT_EXPORT rtl::Boolean EtwEventEnabled(Handle handle, const EventDescriptor* event) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_stack_only("EtwEventEnabled", caller);
    return event != nullptr && registration_of(handle, "EtwEventEnabled", caller) ? 1 : 0;
}

/// [Windows: EtwWrite]
NT_EXPORT rtl::NtStatus EtwWrite(Handle handle, const EventDescriptor* event,
                                 const Guid* /*activity*/, std::uint32_t count,
                                 const DataDescriptor* pieces) {
    return write("EtwWrite", {handle, event, count, pieces},
                 examiner::caller(__builtin_return_address(0)));
}

/// [Windows: EtwWriteTransfer] Activities belong to an event's head, which is not shown.
NT_EXPORT rtl::NtStatus EtwWriteTransfer(Handle handle, const EventDescriptor* event,
                                         const Guid* /*activity*/, const Guid* /*related*/,
                                         std::uint32_t count, const DataDescriptor* pieces) {
    return write("EtwWriteTransfer", {handle, event, count, pieces},
                 examiner::caller(__builtin_return_address(0)));
}

}  // namespace hvp::lab::etw
