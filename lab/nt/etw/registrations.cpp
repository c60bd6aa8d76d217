// The table of providers.
#include "lab/nt/etw/registrations.hpp"

#include <algorithm>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/lock.hpp"

namespace hvp::lab::etw {
namespace {

constinit std::array<Registration, 64> registrations{};
constinit std::uint64_t registered{};
constinit ke::Lock table{};

Registration* find(Handle handle) {
    auto* const found = std::ranges::find(registrations, handle, &Registration::handle);
    return handle != 0 && found != registrations.end() ? found : nullptr;
}

}  // namespace

std::optional<Handle> add_registration(const Guid& provider, std::uint64_t caller) {
    const ke::Locked locked{table};
    auto* const free = std::ranges::find(registrations, Handle{0}, &Registration::handle);
    if (free == registrations.end()) {
        return std::nullopt;
    }
    // No handle is used twice, so that the use of an old one is detected.
    constexpr Handle first = 0xE700'0000'0000'0001;
    *free = {.handle = first + registered++, .provider = provider, .registered_by = caller};
    return free->handle;
}

std::optional<Registration> find_registration(Handle handle) {
    const ke::Locked locked{table};
    const Registration* const found = find(handle);
    return found != nullptr ? std::optional{*found} : std::nullopt;
}

void update_registration(const Registration& changed) {
    const ke::Locked locked{table};
    if (Registration* const found = find(changed.handle)) {
        *found = changed;
    }
}

bool remove_registration(Handle handle) {
    const ke::Locked locked{table};
    Registration* const found = find(handle);
    if (found != nullptr) {
        *found = {};
    }
    return found != nullptr;
}

void report_left_registrations() {
    for (Registration& one : registrations) {
        if (one.handle != 0) {
            rtl::Sentence detail{
                "a provider of events is still registered: EtwUnregister was not "};
            examiner::report_finding("EtwRegistrationLeft", detail.put("called"),
                                     examiner::etw_registration_left, one.registered_by);
            one = {};
        }
    }
}

}  // namespace hvp::lab::etw
