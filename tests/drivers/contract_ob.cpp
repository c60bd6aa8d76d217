// What lab/nt/ob and lab/nt/ps export.
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

extern "C" {
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

using hvp::tests::at_irql;
using hvp::tests::opaque;

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

constexpr std::array promises{
    hvp::tests::Promise{"ObReferenceObjectByHandle", "NtCurrentProcess gives the System process",
                        [] {
                            PVOID object{};
                            const NTSTATUS result =
                                reference(NtCurrentProcess(), *process_type_slot, &object);
                            ObDereferenceObject(object);
                            return NT_SUCCESS(result) && object == PsInitialSystemProcess;
                        }},
    hvp::tests::Promise{"ObReferenceObjectByHandle", "another type is a mismatch",
                        [] {
                            PVOID object = &object;
                            const auto other = std::bit_cast<POBJECT_TYPE>(&object);
                            return reference(NtCurrentProcess(), other, &object) ==
                                       status(0xC0000024) &&
                                   object == nullptr;
                        }},
    hvp::tests::Promise{"ObfReferenceObject", "counts up, and ObfDereferenceObject down",
                        [] {
                            const auto more = ObfReferenceObject(PsInitialSystemProcess);
                            const auto less = ObfDereferenceObject(PsInitialSystemProcess);
                            return more == less + 1;
                        }},
    hvp::tests::Promise{"ObfDereferenceObject", "works at DISPATCH_LEVEL",
                        [] {
                            at_irql(DISPATCH_LEVEL, [] {
                                ObfReferenceObject(PsInitialSystemProcess);
                                ObfDereferenceObject(PsInitialSystemProcess);
                            });
                            return true;
                        }},
    hvp::tests::Promise{"ZwClose", "the current process needs no closing",
                        [] { return ZwClose(NtCurrentProcess()) == STATUS_SUCCESS; }},
    hvp::tests::Promise{"PsInitialSystemProcess", "is a variable that holds the current process",
                        [] { return PsInitialSystemProcess == PsGetCurrentProcess(); }},
    hvp::tests::Promise{"PsProcessType", "is a variable that holds an address",
                        [] { return *process_type_slot != nullptr; }},
    hvp::tests::Promise{"IoGetCurrentProcess", "the driver's thread runs in the System process",
                        [] { return IoGetCurrentProcess() == PsInitialSystemProcess; }},
    hvp::tests::Promise{"PsGetCurrentThreadProcess", "is the System process",
                        [] { return PsGetCurrentThreadProcess() == PsInitialSystemProcess; }},
    hvp::tests::Promise{"PsGetCurrentProcessId", "is 4, at any IRQL",
                        [] {
                            HANDLE id{};
                            at_irql(HIGH_LEVEL, [&] { id = PsGetCurrentProcessId(); });
                            return id == system_id;
                        }},
    hvp::tests::Promise{"PsGetProcessId", "is 4 for the System process",
                        [] { return PsGetProcessId(PsInitialSystemProcess) == system_id; }},
    hvp::tests::Promise{
        "PsGetProcessImageFileName", "is System",
        [] { return same_text(PsGetProcessImageFileName(PsInitialSystemProcess), "System"); }},
    hvp::tests::Promise{"PsLookupProcessByProcessId", "finds process 4 with a reference",
                        [] {
                            PEPROCESS process{};
                            const NTSTATUS result = PsLookupProcessByProcessId(system_id, &process);
                            ObDereferenceObject(process);
                            return NT_SUCCESS(result) && process == PsInitialSystemProcess;
                        }},
    hvp::tests::Promise{"PsLookupProcessByProcessId", "no other process is there",
                        [] {
                            PEPROCESS process{};
                            return PsLookupProcessByProcessId(handle(8), &process) ==
                                   status(0xC000000B);
                        }},
};

constexpr std::array mistakes{
    hvp::tests::Mistake{"ZwClose", "at DISPATCH_LEVEL",
                        [] { at_irql(DISPATCH_LEVEL, [] { ZwClose(NtCurrentProcess()); }); },
                        "IrqlTooHigh"},
    hvp::tests::Mistake{"ZwClose", "a handle that is not open", [] { ZwClose(no_handle); },
                        "InvalidHandle"},
    hvp::tests::Mistake{"ObReferenceObjectByHandle", "the null handle",
                        [] {
                            PVOID object{};
                            static_cast<void>(reference(nullptr, nullptr, &object));
                        },
                        "InvalidHandle"},
    hvp::tests::Mistake{"ObReferenceObjectByHandle", "at DISPATCH_LEVEL",
                        [] {
                            at_irql(DISPATCH_LEVEL, [] {
                                PVOID object{};
                                static_cast<void>(reference(NtCurrentProcess(), nullptr, &object));
                                ObDereferenceObject(object);
                            });
                        },
                        "IrqlTooHigh"},
    hvp::tests::Mistake{"ObfReferenceObject", "above DISPATCH_LEVEL",
                        [] {
                            at_irql(HIGH_LEVEL, [] { ObfReferenceObject(PsInitialSystemProcess); });
                            ObfDereferenceObject(PsInitialSystemProcess);
                        },
                        "IrqlTooHigh"},
    hvp::tests::Mistake{"ObfDereferenceObject", "above DISPATCH_LEVEL",
                        [] {
                            ObfReferenceObject(PsInitialSystemProcess);
                            at_irql(HIGH_LEVEL,
                                    [] { ObfDereferenceObject(PsInitialSystemProcess); });
                        },
                        "IrqlTooHigh"},
    hvp::tests::Mistake{"PsLookupProcessByProcessId", "at DISPATCH_LEVEL",
                        [] {
                            at_irql(DISPATCH_LEVEL, [] {
                                PEPROCESS process{};
                                PsLookupProcessByProcessId(handle(8), &process);
                            });
                        },
                        "IrqlTooHigh"},
    hvp::tests::Mistake{"PsLookupProcessByProcessId", "the reference is kept until the end",
                        [] {
                            PEPROCESS process{};
                            PsLookupProcessByProcessId(system_id, &process);
                        },
                        "ReferenceLeft"},
};

constexpr std::array crashes{
    hvp::tests::Crash{"ObfDereferenceObject", "an object that the driver has no reference to",
                      "-dereference", [] { ObfDereferenceObject(PsInitialSystemProcess); }, 0x18},
    hvp::tests::Crash{"ObfReferenceObject", "an address that is no object", "-reference",
                      [] { ObfReferenceObject(opaque<PVOID>(&PsInitialSystemProcess)); }, 0x18},
    hvp::tests::Crash{"PsGetProcessId", "an address that is no process", "-process-id",
                      [] { PsGetProcessId(std::bit_cast<PEPROCESS>(&PsInitialSystemProcess)); },
                      0x18},
    hvp::tests::Crash{
        "PsGetProcessImageFileName", "an address that is no process", "-process-name",
        [] { PsGetProcessImageFileName(std::bit_cast<PEPROCESS>(&PsInitialSystemProcess)); }, 0x18},
};

constexpr std::array harmless{
    hvp::tests::Harmless{"PsInitialSystemProcess", "data"},
    hvp::tests::Harmless{"PsProcessType", "data"},
    hvp::tests::Harmless{"IoGetCurrentProcess", "any IRQL, no argument"},
    hvp::tests::Harmless{"PsGetCurrentThreadProcess", "any IRQL, no argument"},
    hvp::tests::Harmless{"PsGetCurrentProcessId", "any IRQL, no argument"},
};

constexpr hvp::tests::Contract contract{"contract_ob", promises, mistakes, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return hvp::tests::examine(contract, driver, path);
}
