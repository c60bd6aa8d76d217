// What lab/nt/ob and lab/nt/ps export.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

extern "C" {
NTKERNELAPI VOID NTAPI KeStackAttachProcess(PVOID Process, PVOID ApcState);
NTKERNELAPI VOID NTAPI KeUnstackDetachProcess(PVOID ApcState);
NTKERNELAPI PEPROCESS NTAPI PsGetCurrentThreadProcess();
NTKERNELAPI PSTR NTAPI PsGetProcessImageFileName(PEPROCESS Process);
NTKERNELAPI NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE ProcessId, PEPROCESS* Process);
NTKERNELAPI HANDLE NTAPI PsGetProcessId(PEPROCESS Process);
__declspec(dllimport) extern PEPROCESS PsInitialSystemProcess;
// The slot in the import table, which WDK's headers call PsProcessType; mingw-w64's are one
// indirection off.
extern POBJECT_TYPE* const process_type_slot __asm__("__imp_PsProcessType");
}

namespace {

using namespace hvp::tests;

HANDLE handle(std::uint64_t value) {
    return std::bit_cast<HANDLE>(value);
}

NTSTATUS status(std::uint32_t value) {
    return static_cast<NTSTATUS>(value);
}

const HANDLE system_id = handle(4);
const HANDLE no_handle = handle(0x7FC);

NTSTATUS reference(HANDLE of, POBJECT_TYPE type, PVOID* object) {
    return ObReferenceObjectByHandle(of, 0, type, KernelMode, object, nullptr);
}

bool same_text(const char* left, const char* right) {
    for (; *left == *right; ++left, ++right) {
        if (*left == '\0') {
            return true;
        }
    }
    return false;
}

bool attaching_changes_nothing() {
    std::array<std::uint64_t, 6> state{};
    std::uint64_t before{};
    std::uint64_t inside{};
    asm volatile("movq %%cr3, %0" : "=r"(before));
    KeStackAttachProcess(PsGetCurrentProcess(), state.data());
    asm volatile("movq %%cr3, %0" : "=r"(inside));
    KeUnstackDetachProcess(state.data());
    return before == inside;
}

constexpr std::array promises{
    Promise{"ObReferenceObjectByHandle", "NtCurrentProcess gives the System process",
            [] {
                PVOID object{};
                const NTSTATUS result = reference(NtCurrentProcess(), *process_type_slot, &object);
                ObDereferenceObject(object);
                return NT_SUCCESS(result) && object == PsInitialSystemProcess;
            }},
    Promise{"ObReferenceObjectByHandle", "another type is a mismatch",
            [] {
                PVOID object = &object;
                const auto other = std::bit_cast<POBJECT_TYPE>(&object);
                return reference(NtCurrentProcess(), other, &object) == status(0xC0000024) &&
                       object == nullptr;
            }},
    Promise{"ObfReferenceObject", "counts up, and ObfDereferenceObject down",
            [] {
                const auto more = ObfReferenceObject(PsInitialSystemProcess);
                const auto less = ObfDereferenceObject(PsInitialSystemProcess);
                return more == less + 1;
            }},
    Promise{"ObfDereferenceObject", "works at DISPATCH_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL, [] {
                    ObfReferenceObject(PsInitialSystemProcess);
                    ObfDereferenceObject(PsInitialSystemProcess);
                });
                return true;
            }},
    Promise{"ZwClose", "the current process needs no closing",
            [] { return ZwClose(NtCurrentProcess()) == STATUS_SUCCESS; }},
    Promise{"PsInitialSystemProcess", "is a variable that holds the current process",
            [] { return PsInitialSystemProcess == PsGetCurrentProcess(); }},
    Promise{"PsProcessType", "is a variable that holds an address",
            [] { return *process_type_slot != nullptr; }},
    Promise{"IoGetCurrentProcess", "the driver's thread runs in the System process",
            [] { return IoGetCurrentProcess() == PsInitialSystemProcess; }},
    Promise{"PsGetCurrentThreadProcess", "is the System process",
            [] { return PsGetCurrentThreadProcess() == PsInitialSystemProcess; }},
    Promise{"PsGetCurrentProcessId", "is 4, at any IRQL",
            [] {
                HANDLE id{};
                at_irql(HIGH_LEVEL, [&] { id = PsGetCurrentProcessId(); });
                return id == system_id;
            }},
    Promise{"PsGetProcessId", "is 4 for the System process",
            [] { return PsGetProcessId(PsInitialSystemProcess) == system_id; }},
    Promise{"PsGetProcessImageFileName", "is System",
            [] { return same_text(PsGetProcessImageFileName(PsInitialSystemProcess), "System"); }},
    Promise{"PsLookupProcessByProcessId", "finds process 4 with a reference",
            [] {
                PEPROCESS process{};
                const NTSTATUS result = PsLookupProcessByProcessId(system_id, &process);
                ObDereferenceObject(process);
                return NT_SUCCESS(result) && process == PsInitialSystemProcess;
            }},
    Promise{"PsLookupProcessByProcessId", "no other process is there",
            [] {
                PEPROCESS process{};
                return PsLookupProcessByProcessId(handle(8), &process) == status(0xC000000B);
            }},
    Promise{"KeStackAttachProcess", "to the own process changes nothing",
            attaching_changes_nothing},
    Promise{"KeUnstackDetachProcess", "undoes it", attaching_changes_nothing},
};

constexpr std::array mistakes{
    Mistake{"ZwClose", "at DISPATCH_LEVEL",
            [] { at_irql(DISPATCH_LEVEL, [] { ZwClose(NtCurrentProcess()); }); }, "IrqlTooHigh"},
    Mistake{"ZwClose", "a handle that is not open", [] { ZwClose(no_handle); }, "InvalidHandle"},
    Mistake{"ObReferenceObjectByHandle", "the null handle",
            [] {
                PVOID object{};
                static_cast<void>(reference(nullptr, nullptr, &object));
            },
            "InvalidHandle"},
    Mistake{"ObReferenceObjectByHandle", "at DISPATCH_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL, [] {
                    PVOID object{};
                    static_cast<void>(reference(NtCurrentProcess(), nullptr, &object));
                    ObDereferenceObject(object);
                });
            },
            "IrqlTooHigh"},
    Mistake{"ObfReferenceObject", "above DISPATCH_LEVEL",
            [] {
                at_irql(HIGH_LEVEL, [] { ObfReferenceObject(PsInitialSystemProcess); });
                ObfDereferenceObject(PsInitialSystemProcess);
            },
            "IrqlTooHigh"},
    Mistake{"ObfDereferenceObject", "above DISPATCH_LEVEL",
            [] {
                ObfReferenceObject(PsInitialSystemProcess);
                at_irql(HIGH_LEVEL, [] { ObfDereferenceObject(PsInitialSystemProcess); });
            },
            "IrqlTooHigh"},
    Mistake{"PsLookupProcessByProcessId", "at DISPATCH_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL, [] {
                    PEPROCESS process{};
                    PsLookupProcessByProcessId(handle(8), &process);
                });
            },
            "IrqlTooHigh"},
    Mistake{"PsLookupProcessByProcessId", "the reference is kept until the end",
            [] {
                PEPROCESS process{};
                PsLookupProcessByProcessId(system_id, &process);
            },
            "ReferenceLeft"},
    Mistake{"KeStackAttachProcess", "at DISPATCH_LEVEL",
            [] {
                std::array<std::uint64_t, 6> state{};
                at_irql(DISPATCH_LEVEL,
                        [&] { KeStackAttachProcess(PsGetCurrentProcess(), state.data()); });
                KeUnstackDetachProcess(state.data());
            },
            "IrqlTooHigh"},
    Mistake{"KeUnstackDetachProcess", "at DISPATCH_LEVEL",
            [] {
                std::array<std::uint64_t, 6> state{};
                KeStackAttachProcess(PsGetCurrentProcess(), state.data());
                at_irql(DISPATCH_LEVEL, [&] { KeUnstackDetachProcess(state.data()); });
            },
            "IrqlTooHigh"},
};

constexpr std::array crashes{
    Crash{"ObfDereferenceObject", "an object that the driver has no reference to", "-dereference",
          [] { ObfDereferenceObject(PsInitialSystemProcess); }, 0x18},
    Crash{"ObfReferenceObject", "an address that is no object", "-reference",
          [] { ObfReferenceObject(opaque<PVOID>(&PsInitialSystemProcess)); }, 0x18},
    Crash{"PsGetProcessId", "an address that is no process", "-process-id",
          [] { PsGetProcessId(std::bit_cast<PEPROCESS>(&PsInitialSystemProcess)); }, 0x18},
    Crash{"PsGetProcessImageFileName", "an address that is no process", "-process-name",
          [] { PsGetProcessImageFileName(std::bit_cast<PEPROCESS>(&PsInitialSystemProcess)); },
          0x18},
    Crash{"KeStackAttachProcess", "what is no process", "-attach",
          [] {
              std::array<std::uint64_t, 6> state{};
              KeStackAttachProcess(state.data(), state.data());
          },
          0x05},
    Crash{"KeUnstackDetachProcess", "a state that was never filled", "-detach",
          [] {
              std::array<std::uint64_t, 6> state{};
              KeUnstackDetachProcess(state.data());
          },
          0x06},
};

constexpr std::array harmless{
    Harmless{"PsInitialSystemProcess", "data"},
    Harmless{"PsProcessType", "data"},
    Harmless{"IoGetCurrentProcess", "any IRQL, no argument"},
    Harmless{"PsGetCurrentThreadProcess", "any IRQL, no argument"},
    Harmless{"PsGetCurrentProcessId", "any IRQL, no argument"},
};

constexpr Contract contract{"contract_ob", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return hvp::tests::examine(contract, driver, path);
}
