// NMI callbacks. The NMI comes from this processor's own local APIC.
#include <array>

#include "tests/drivers/contract.hpp"
#include "tests/drivers/local_apic.hpp"
#include "tests/drivers/nmi_callbacks.hpp"

namespace {

using namespace hvp::tests;

struct Calls {
    unsigned number;
    unsigned handled_before;  ///< by a callback that was called before
};

BOOLEAN NTAPI handle(PVOID context, BOOLEAN handled) {
    Calls& calls = *static_cast<Calls*>(context);
    ++calls.number;
    calls.handled_before += handled;
    return TRUE;
}

BOOLEAN NTAPI look_on(PVOID context, BOOLEAN handled) {
    (void)handle(context, handled);
    return FALSE;
}

void send_nmi_to_this_processor() {
    LocalApic apic;
    if (apic.map()) {
        KIRQL before{};
        KeRaiseIrql(DISPATCH_LEVEL, &before);  // the thread stays where it asks for the number
        apic.send_nmi(LocalApic::id());
        KeLowerIrql(before);
        apic.unmap();
    }
}

bool every_callback_is_called() {
    Calls calls[2]{};
    const PVOID first = KeRegisterNmiCallback(handle, &calls[0]);
    const PVOID second = KeRegisterNmiCallback(look_on, &calls[1]);
    send_nmi_to_this_processor();
    const bool known =
        NT_SUCCESS(KeDeregisterNmiCallback(first)) && NT_SUCCESS(KeDeregisterNmiCallback(second));
    return known && calls[0].number == 1 && calls[1].number == 1 &&
           calls[0].handled_before + calls[1].handled_before <= 1;
}

bool deregistered_ones_are_unknown() {
    Calls calls{};
    const PVOID one = KeRegisterNmiCallback(handle, &calls);
    return one != nullptr && NT_SUCCESS(KeDeregisterNmiCallback(one)) &&
           KeDeregisterNmiCallback(one) == STATUS_INVALID_HANDLE;
}

constexpr std::array promises{
    Promise{"KeRegisterNmiCallback", "each routine is called, and told whether another handled it",
            every_callback_is_called},
    Promise{"KeDeregisterNmiCallback", "the handle is good once", deregistered_ones_are_unknown},
};

constexpr std::array mistakes{
    Mistake{"KeRegisterNmiCallback", "a routine stays registered until the end",
            [] {
                static Calls calls{};
                static_cast<void>(KeRegisterNmiCallback(handle, &calls));
            },
            "CallbackLeft"},
    Mistake{"KeDeregisterNmiCallback", "above APC_LEVEL",
            [] {
                Calls calls{};
                const PVOID one = KeRegisterNmiCallback(handle, &calls);
                KIRQL before{};
                KeRaiseIrql(DISPATCH_LEVEL, &before);
                static_cast<void>(KeDeregisterNmiCallback(one));
                KeLowerIrql(before);
            },
            "IrqlTooHigh"},
};

constexpr std::array crashes{
    Crash{"KeDeregisterNmiCallback", "and then an NMI comes", "-nmi",
          [] {
              Calls calls{};
              static_cast<void>(KeDeregisterNmiCallback(KeRegisterNmiCallback(handle, &calls)));
              send_nmi_to_this_processor();
          },
          0x80},
};

constexpr Contract contract{"contract_nmi", promises, mistakes, crashes, {}};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
