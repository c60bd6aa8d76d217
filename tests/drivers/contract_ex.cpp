// What lab/nt/ex and lab/nt/dbg export, and KeBugCheck.
#include <array>
#include <bit>
#include <cstdarg>

#include "tests/drivers/contract.hpp"

extern "C" {
NTKERNELAPI PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T NumberOfBytes, ULONG Tag);
NTSYSAPI ULONG NTAPI vDbgPrintExWithPrefix(PCCH Prefix, ULONG ComponentId, ULONG Level, PCCH Format,
                                           va_list arglist);
}

namespace {

using namespace hvp::tests;

constexpr ULONG tag = 'tseT';
constexpr ULONG64 nonpaged = 0x40;
constexpr ULONG64 uninitialised = 0x02;
constexpr ULONG64 raise = 0x20;
constexpr std::size_t too_much = std::size_t{1} << 40;

bool is_zero(const char* block, std::size_t bytes) {
    return std::all_of(block, block + bytes, [](char one) { return one == 0; });
}

bool pool2_zeroes_and_aligns() {
    auto* const small = static_cast<char*>(ExAllocatePool2(nonpaged, 100, tag));
    auto* const page = static_cast<char*>(ExAllocatePool2(nonpaged, PAGE_SIZE, tag));
    const bool good = is_zero(small, 100) && std::bit_cast<std::uint64_t>(small) % 16 == 0 &&
                      std::bit_cast<std::uint64_t>(page) % PAGE_SIZE == 0;
    ExFreePoolWithTag(small, tag);
    ExFreePool(page);
    return good && !MmIsAddressValid(small);
}

bool pool2_raises() {
    __try {
        static_cast<void>(ExAllocatePool2(nonpaged | raise | uninitialised, too_much, tag));
    } __except (_exception_code() == 0xC000009A) {
        return true;
    }
    return false;
}

template <typename Allocate>
bool is_fresh(Allocate allocate) {
    auto* const block = static_cast<char*>(allocate());
    const bool good = block != nullptr && !is_zero(block, 64);
    ExFreePool(block);
    return good;
}

NTSTATUS print(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vDbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, format, arguments);
    const auto status = static_cast<NTSTATUS>(vDbgPrintExWithPrefix(
        "Prefixed ", DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, format, arguments));
    va_end(arguments);
    return status;
}

/// A callback object by name; null: it could not be had.
PCALLBACK_OBJECT callback(const wchar_t* text, bool create, bool many) {
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, const_cast<wchar_t*>(text));
    OBJECT_ATTRIBUTES attributes{};
    attributes.Length = sizeof(attributes);
    attributes.ObjectName = &name;
    attributes.Attributes = OBJ_CASE_INSENSITIVE;
    PCALLBACK_OBJECT object{};
    const NTSTATUS status = ExCreateCallback(&object, &attributes, create, many);
    return NT_SUCCESS(status) ? object : nullptr;
}

constexpr const wchar_t* own_name = L"\\Callback\\HvpTest";

/// Writes down who was called, as a decimal digit each.
void NTAPI note(PVOID context, PVOID argument_1, PVOID argument_2) {
    auto& calls = *static_cast<unsigned*>(argument_1);
    calls = calls * 10 + static_cast<unsigned>(std::bit_cast<std::uint64_t>(context));
    if (argument_2 != nullptr) {
        *static_cast<KIRQL*>(argument_2) = KeGetCurrentIrql();
    }
}

PVOID as_context(std::uint64_t digit) {
    return std::bit_cast<PVOID>(digit);
}

bool callbacks_are_called_in_order() {
    const PCALLBACK_OBJECT object = callback(own_name, true, true);
    const PVOID first = ExRegisterCallback(object, note, as_context(1));
    const PVOID second = ExRegisterCallback(object, note, as_context(2));
    const PVOID third = ExRegisterCallback(object, note, as_context(3));
    unsigned calls = 0;
    ExNotifyCallback(object, &calls, nullptr);
    ExUnregisterCallback(second);
    KIRQL irql{};
    at_irql(DISPATCH_LEVEL, [&] { ExNotifyCallback(object, &calls, &irql); });
    ExUnregisterCallback(first);
    ExUnregisterCallback(third);
    ExNotifyCallback(object, &calls, nullptr);
    ObDereferenceObject(object);
    return calls == 12313 && irql == DISPATCH_LEVEL;
}

bool one_routine_means_one() {
    const PCALLBACK_OBJECT object = callback(own_name, true, false);
    const PVOID first = ExRegisterCallback(object, note, nullptr);
    const PVOID second = ExRegisterCallback(object, note, nullptr);
    ExUnregisterCallback(first);
    ObDereferenceObject(object);
    return first != nullptr && second == nullptr;
}

bool power_state_is_there() {
    const PCALLBACK_OBJECT object = callback(L"\\callback\\powerstate", false, false);
    const PVOID registration = ExRegisterCallback(object, note, nullptr);
    ExUnregisterCallback(registration);
    ObDereferenceObject(object);
    return object != nullptr && registration != nullptr;
}

bool gone_objects_are_not_found() {
    const PCALLBACK_OBJECT object = callback(own_name, true, false);
    const PCALLBACK_OBJECT same = callback(own_name, false, false);
    ObDereferenceObject(same);
    ObDereferenceObject(object);
    return same == object && callback(own_name, false, false) == nullptr;
}

constexpr std::array promises{
    Promise{"ExAllocatePool2", "zeroes; small blocks on 16 bytes, a page on a page",
            pool2_zeroes_and_aligns},
    Promise{"ExAllocatePool2", "null for too much, without the flag that raises",
            [] { return ExAllocatePool2(nonpaged | uninitialised, too_much, tag) == nullptr; }},
    Promise{"ExAllocatePool2", "raises an exception with the flag for it", pool2_raises},
    Promise{"ExAllocatePoolWithTag", "does not zero",
            [] { return is_fresh([] { return ExAllocatePoolWithTag(NonPagedPoolNx, 64, tag); }); }},
    Promise{"ExAllocatePool", "does not zero",
            [] { return is_fresh([] { return ExAllocatePool(NonPagedPool, 64); }); }},
    Promise{"ExFreePool", "makes the address invalid, at DISPATCH_LEVEL too",
            [] {
                void* const block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, tag);
                at_irql(DISPATCH_LEVEL, [=] { ExFreePool(block); });
                return !MmIsAddressValid(block);
            }},
    Promise{"ExFreePoolWithTag", "tag 0 fits every block",
            [] {
                void* const block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, tag);
                ExFreePoolWithTag(block, 0);
                return !MmIsAddressValid(block);
            }},
    Promise{"ExCreateCallback", "opens what is there, and only that", gone_objects_are_not_found},
    Promise{"ExCreateCallback", "the power state has one, whatever the case of its name",
            power_state_is_there},
    Promise{"ExRegisterCallback", "one routine only if the object takes one",
            one_routine_means_one},
    Promise{"ExUnregisterCallback", "the routine is not called any more",
            callbacks_are_called_in_order},
    Promise{"ExNotifyCallback", "calls in the order of registration, at the caller's IRQL",
            callbacks_are_called_in_order},
    Promise{"DbgPrint", "returns success", [] { return NT_SUCCESS(DbgPrint("Text %d\n", 1)); }},
    Promise{"DbgPrintEx", "returns success",
            [] {
                return NT_SUCCESS(
                    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "Text %d\n", 2));
            }},
    Promise{"vDbgPrintEx", "returns success",
            [] { return NT_SUCCESS(print("number=%d text=\"%s\"\n", 3, "t")); }},
    Promise{"vDbgPrintExWithPrefix", "returns success",
            [] { return NT_SUCCESS(print("number=%d text=\"%s\"\n", 4, "u")); }},
    Promise{"KeBugCheck", "is there", [] { return opaque(&KeBugCheck) != nullptr; }},
    Promise{"KeBugCheckEx", "is there", [] { return opaque(&KeBugCheckEx) != nullptr; }},
};

void allocate_at(KIRQL irql, void* (*allocate)()) {
    void* block{};
    at_irql(irql, [&] { block = allocate(); });
    ExFreePool(block);
}

/// Prints what may be printed at PASSIVE_LEVEL only.
template <typename Print>
void print_wide(Print print_it) {
    at_irql(DISPATCH_LEVEL, [=] { print_it("%ws\n", L"wide"); });
}

NTSTATUS print_with_vdbgprintex(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const auto status = static_cast<NTSTATUS>(
        vDbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, format, arguments));
    va_end(arguments);
    return status;
}

NTSTATUS print_with_prefix(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const auto status = static_cast<NTSTATUS>(
        vDbgPrintExWithPrefix("", DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, format, arguments));
    va_end(arguments);
    return status;
}

constexpr std::array mistakes{
    Mistake{"ExAllocatePool2", "above DISPATCH_LEVEL",
            [] {
                allocate_at(HIGH_LEVEL,
                            []() -> void* { return ExAllocatePool2(nonpaged, 8, tag); });
            },
            "IrqlTooHigh"},
    Mistake{"ExAllocatePool2", "no bytes", [] { ExFreePool(ExAllocatePool2(nonpaged, 0, tag)); },
            "ZeroBytes"},
    Mistake{"ExAllocatePoolWithTag", "paged pool at DISPATCH_LEVEL",
            [] {
                allocate_at(DISPATCH_LEVEL,
                            []() -> void* { return ExAllocatePoolWithTag(PagedPool, 8, tag); });
            },
            "IrqlTooHigh"},
    Mistake{
        "ExAllocatePool", "above DISPATCH_LEVEL",
        [] { allocate_at(HIGH_LEVEL, []() -> void* { return ExAllocatePool(NonPagedPool, 8); }); },
        "IrqlTooHigh"},
    Mistake{"ExFreePool", "above DISPATCH_LEVEL",
            [] {
                void* const block = ExAllocatePool(NonPagedPool, 8);
                at_irql(HIGH_LEVEL, [=] { ExFreePool(block); });
            },
            "IrqlTooHigh"},
    Mistake{"ExFreePoolWithTag", "above DISPATCH_LEVEL",
            [] {
                void* const block = ExAllocatePoolWithTag(NonPagedPool, 8, tag);
                at_irql(HIGH_LEVEL, [=] { ExFreePoolWithTag(block, tag); });
            },
            "IrqlTooHigh"},
    Mistake{"ExCreateCallback", "at DISPATCH_LEVEL",
            [] {
                at_irql(DISPATCH_LEVEL,
                        [] { static_cast<void>(callback(own_name, false, false)); });
            },
            "IrqlTooHigh"},
    Mistake{"ExRegisterCallback", "what is no callback object",
            [] {
                int other = 0;
                static_cast<void>(
                    ExRegisterCallback(std::bit_cast<PCALLBACK_OBJECT>(&other), note, nullptr));
            },
            "NoCallback"},
    Mistake{"ExUnregisterCallback", "what is not registered", [] { ExUnregisterCallback(nullptr); },
            "NotRegistered"},
    Mistake{"ExNotifyCallback", "an object of the system's",
            [] {
                const PCALLBACK_OBJECT object = callback(L"\\Callback\\PowerState", false, false);
                ExNotifyCallback(object, nullptr, nullptr);
                ObDereferenceObject(object);
            },
            "SystemCallbackNotified"},
    Mistake{"ExNotifyCallback", "above DISPATCH_LEVEL",
            [] {
                const PCALLBACK_OBJECT object = callback(own_name, true, false);
                at_irql(HIGH_LEVEL, [=] { ExNotifyCallback(object, nullptr, nullptr); });
                ObDereferenceObject(object);
            },
            "IrqlTooHigh"},
    Mistake{"ExRegisterCallback", "a routine stays registered until the end",
            [] {
                const PCALLBACK_OBJECT object = callback(L"\\Callback\\PowerState", false, false);
                static_cast<void>(ExRegisterCallback(object, note, nullptr));
                ObDereferenceObject(object);
            },
            "CallbackLeft"},
    Mistake{"DbgPrint", "wide text at DISPATCH_LEVEL",
            [] { print_wide([](auto... all) { return DbgPrint(all...); }); },
            "WideTextAbovePassiveLevel"},
    Mistake{"DbgPrintEx", "wide text at DISPATCH_LEVEL",
            [] {
                print_wide([](auto... all) {
                    return DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, all...);
                });
            },
            "WideTextAbovePassiveLevel"},
    Mistake{"vDbgPrintEx", "wide text at DISPATCH_LEVEL",
            [] { print_wide([](auto... all) { return print_with_vdbgprintex(all...); }); },
            "WideTextAbovePassiveLevel"},
    Mistake{"vDbgPrintExWithPrefix", "wide text at DISPATCH_LEVEL",
            [] { print_wide([](auto... all) { return print_with_prefix(all...); }); },
            "WideTextAbovePassiveLevel"},
};

constexpr std::array crashes{
    Crash{"ExFreePool", "twice", "-free-twice",
          [] {
              void* const block = ExAllocatePool(NonPagedPool, 8);
              ExFreePool(block);
              ExFreePool(opaque(block));
          },
          0xC2},
    Crash{"ExFreePoolWithTag", "another tag", "-other-tag",
          [] { ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPool, 8, tag), 'rehT'); }, 0xC2},
    Crash{"ExAllocatePoolWithTag", "tag 0", "-tag-zero",
          [] { static_cast<void>(ExAllocatePoolWithTag(NonPagedPool, 8, 0)); }, 0xC2},
    Crash{"KeBugCheck", "any code", "-bug-check", [] { KeBugCheck(0xE2); }, 0xE2},
    Crash{"KeBugCheckEx", "a code of its own", "-bug-check-ex",
          [] { KeBugCheckEx(0xDEADBEEF, 1, 2, 3, 4); }, 0xDEADBEEF},
};

constexpr Contract contract{"contract_ex", promises, mistakes, crashes, {}};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
