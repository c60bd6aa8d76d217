// ExCreateCallback, ExRegisterCallback, ExUnregisterCallback, ExNotifyCallback.
#include "lab/nt/ex/callback.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/lock.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/names.hpp"

namespace hvp::lab::ex {
namespace {

using namespace std::string_view_literals;

/// The body of a callback object.
struct Callback {
    bool exists{};
    bool of_system{};
    bool many{};  ///< more than one routine at a time
    std::array<char16_t, 64> name{};
    std::size_t name_characters{};

    [[nodiscard]] std::u16string_view full_name() const { return {name.data(), name_characters}; }
};

/// [Windows: ExRegisterCallback] CALLBACK_FUNCTION.
using Routine = void (*)(void* context, void* argument_1, void* argument_2);

struct Registration {
    const Callback* callback{};  ///< null: this record is free
    Routine routine{};
    void* context{};
    std::uint32_t running{};  ///< how many processors are inside the routine
    std::uint64_t number{};   ///< routines are called in the order in which they came
    std::uint64_t registered_by{};
};

constinit std::array<Callback, 16> callbacks{};
constinit std::array<Registration, 64> registrations{};
constinit std::uint64_t registered{};
constinit ke::Lock tables{};

void remove_record(void* body) {
    const ke::Locked locked{tables};
    *static_cast<Callback*>(body) = {};
}

constinit const ob::ObjectType callback_type{.name = "callback"sv,
                                             .last_reference_gone = remove_record};

Callback* find(std::u16string_view name) {
    const auto found = std::ranges::find_if(callbacks, [&](const Callback& one) {
        return one.exists && rtl::is_same_name(one.full_name(), name);
    });
    return !name.empty() && found != callbacks.end() ? found : nullptr;
}

/// Null: there are too many, or the name is too long.
Callback* create(std::u16string_view name, bool many) {
    const auto free = std::ranges::find(callbacks, false, &Callback::exists);
    if (free == callbacks.end() || name.size() > free->name.size()) {
        return nullptr;
    }
    *free = {.exists = true, .many = many, .name_characters = name.size()};
    std::ranges::copy(name, free->name.begin());
    return ob::make_object(callback_type, free) != nullptr ? free : nullptr;
}

void check_irql(ke::Irql highest, examiner::FunctionName function, std::uint64_t caller) {
    examiner::check_irql_at_most(highest, {function, examiner::api_irql, caller});
}

bool is_callback(examiner::FunctionName function, const Callback* callback, std::uint64_t caller) {
    const ob::Object* const object = ob::find_object(callback);
    if (object != nullptr && object->type == &callback_type) {
        return true;
    }
    rtl::Sentence detail{function};
    detail.put(" was given ").hex(std::bit_cast<std::uint64_t>(callback));
    examiner::report_finding("NoCallback", detail.put(", which is no callback object"),
                             examiner::no_verifier_code, caller);
    return false;
}

/// The registration after the one with that number; it stays while its routine runs.
Registration* take_next(const Callback* callback, std::uint64_t after) {
    const ke::Locked locked{tables};
    Registration* next = nullptr;
    for (Registration& one : registrations) {
        if (one.callback == callback && one.number > after &&
            (next == nullptr || one.number < next->number)) {
            next = &one;
        }
    }
    if (next != nullptr) {
        ++next->running;
    }
    return next;
}

/// False: the routine is running.
bool end_if_idle(Registration& registration) {
    const ke::Locked locked{tables};
    if (registration.running != 0) {
        return false;
    }
    registration = {};
    return true;
}

}  // namespace

void create_system_callbacks() {
    const ke::Locked locked{tables};
    for (const auto name : {uR"(\Callback\PowerState)"sv, uR"(\Callback\SetSystemTime)"sv,
                            uR"(\Callback\ProcessorAdd)"sv}) {
        if (Callback* const made = create(name, true)) {
            made->of_system = true;
        }
    }
}

void report_left_callbacks() {
    for (Registration& one : registrations) {
        if (one.callback != nullptr) {
            examiner::report_left_callback(
                rtl::Sentence{"a routine is still registered with a callback object"},
                one.registered_by);
            one = {};
        }
    }
}

/// [Windows: ExCreateCallback] Opens a callback object, or creates it if it does not exist and
/// `create_it` is set. The caller must dereference it.
NT_EXPORT rtl::NtStatus ExCreateCallback(Callback** callback,
                                         const rtl::ObjectAttributes* attributes,
                                         rtl::Boolean create_it, rtl::Boolean many) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_irql(ke::Irql::apc, "ExCreateCallback", caller);
    const std::u16string_view name = attributes != nullptr && attributes->name != nullptr
                                         ? rtl::view_of(*attributes->name)
                                         : std::u16string_view{};
    const ke::Locked locked{tables};
    Callback* found = find(name);
    const bool is_new = found == nullptr;
    if (is_new && create_it == 0) {
        return rtl::status_object_name_not_found;
    }
    if (is_new) {
        found = create(name, many != 0);
    }
    if (found == nullptr) {
        return rtl::status_insufficient_resources;
    }
    ob::Object& object = *ob::find_object(found);
    ob::reference_for_driver(object, caller);
    if (is_new) {
        ob::dereference(object);  // the driver has the only reference
    }
    *callback = found;
    return rtl::status_success;
}

/// [Windows: ExRegisterCallback]
///
/// Returns  null if the object takes one routine only and has it
NT_EXPORT void* ExRegisterCallback(const Callback* callback, Routine routine, void* context) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_irql(ke::Irql::apc, "ExRegisterCallback", caller);
    if (!is_callback("ExRegisterCallback", callback, caller)) {
        return nullptr;
    }
    const ke::Locked locked{tables};
    const auto free = std::ranges::find(registrations, nullptr, &Registration::callback);
    const auto other = std::ranges::find(registrations, callback, &Registration::callback);
    if (free == registrations.end() || (!callback->many && other != registrations.end())) {
        return nullptr;
    }
    *free = {.callback = callback,
             .routine = routine,
             .context = context,
             .number = ++registered,
             .registered_by = caller};
    ob::reference(*ob::find_object(callback));
    return free;
}

/// [Windows: ExUnregisterCallback] When it returns the routine does not run any more.
NT_EXPORT void ExUnregisterCallback(Registration* registration) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_irql(ke::Irql::apc, "ExUnregisterCallback", caller);
    const bool inside = registration >= registrations.begin() && registration < registrations.end();
    if (!inside || registration->callback == nullptr) {
        rtl::Sentence detail{"ExUnregisterCallback was given something that is not registered"};
        return examiner::report_finding("NotRegistered", detail, examiner::no_verifier_code,
                                        caller);
    }
    const Callback* const callback = registration->callback;
    while (!end_if_idle(*registration)) {
        arch::pause();
    }
    ob::dereference(*ob::find_object(callback));
}

/// [Windows: ExNotifyCallback] Calls the routines, at the caller's IRQL.
NT_EXPORT void ExNotifyCallback(const Callback* callback, void* argument_1, void* argument_2) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    check_irql(ke::Irql::dispatch, "ExNotifyCallback", caller);
    if (!is_callback("ExNotifyCallback", callback, caller)) {
        return;
    }
    if (callback->of_system) {
        rtl::Sentence detail{
            "ExNotifyCallback was given a callback object of the system's, which "};
        examiner::report_finding("SystemCallbackNotified", detail.put("only the system may notify"),
                                 examiner::no_verifier_code, caller);
    }
    std::uint64_t last = 0;
    while (Registration* const one = take_next(callback, last)) {
        last = one->number;
        one->routine(one->context, argument_1, argument_2);
        const ke::Locked locked{tables};
        --one->running;
    }
}

}  // namespace hvp::lab::ex
