// Runs a contract's tables and says how each line went.
#include "tests/drivers/contract.hpp"

#include "tests/drivers/service_name.hpp"

namespace hvp::tests {
namespace {

constinit const Contract* examined{};

void try_promises(const char* when) {
    for (const Promise& promise : examined->promises) {
        const bool kept = promise.is_kept();
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL,
                   "Promise export=%s what=\"%s\" when=%s kept=%d\n", promise.exported,
                   promise.what, when, kept);
    }
}

void list_the_rest() {
    for (const Crash& crash : examined->crashes) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL,
                   "Crash export=%s what=\"%s\" service=%s bug_check=%u\n", crash.exported,
                   crash.what, crash.service, crash.bug_check);
    }
    for (const Harmless& one : examined->harmless) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "Harmless export=%s why=\"%s\"\n",
                   one.exported, one.why);
    }
}

/// What the lab finds between two lines belongs to the mistake that the first one names.
void make_mistakes() {
    for (const Mistake& mistake : examined->mistakes) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL,
                   "Mistake export=%s what=\"%s\" rule=%s\n", mistake.exported, mistake.what,
                   mistake.rule);
        mistake.make();
    }
}

void unload_promises(PDRIVER_OBJECT) {
    try_promises("unload");
}

void unload_nothing(PDRIVER_OBJECT) {}

bool is_named(const UNICODE_STRING& path, std::string_view suffix) {
    const std::size_t length = path.Length / sizeof(wchar_t);
    return length >= suffix.size() &&
           std::ranges::equal(
               std::span{path.Buffer + length - suffix.size(), suffix.size()}, suffix,
               [](wchar_t one, char other) { return one == static_cast<wchar_t>(other); });
}

}  // namespace

NTSTATUS examine(const Contract& contract, PDRIVER_OBJECT driver, PUNICODE_STRING registry_path) {
    examined = &contract;
    if (is_service(*registry_path, "", contract.driver)) {
        driver->DriverUnload = unload_promises;
        list_the_rest();
        try_promises("entry");
        return STATUS_SUCCESS;
    }
    driver->DriverUnload = unload_nothing;
    if (is_named(*registry_path, "-wrong")) {
        make_mistakes();
        return STATUS_SUCCESS;
    }
    for (const Crash& crash : contract.crashes) {
        if (is_named(*registry_path, crash.service)) {
            crash.make();
            return STATUS_SUCCESS;
        }
    }
    return STATUS_NOT_SUPPORTED;
}

}  // namespace hvp::tests
