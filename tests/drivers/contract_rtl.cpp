// What lab/nt/rtl exports of strings, memory, images and numbers, and lab/nt/cm of the registry.
#include <array>
#include <bit>
#include <cstdarg>

#include "tests/drivers/contract.hpp"

extern "C" {
NTSYSAPI PVOID NTAPI RtlPcToFileHeader(PVOID PcValue, PVOID* BaseOfImage);
NTSYSAPI PVOID NTAPI RtlImageNtHeader(PVOID Base);
int sprintf_s(char* buffer, std::size_t bytes, const char* format, ...);
int vsprintf_s(char* buffer, std::size_t bytes, const char* format, va_list arguments);
}

namespace {

using namespace hvp::tests;

using Copy = void*(void*, const void*, std::size_t);
using Fill = void*(void*, int, std::size_t);
using Compare = int(const void*, const void*, std::size_t);
using Length = std::size_t(const char*);
using CompareText = int(const char*, const char*);
using CompareSome = int(const char*, const char*, std::size_t);
using CompareWide = int(const wchar_t*, const wchar_t*, std::size_t);
using PrintSome = int(char*, std::size_t, const char*, va_list);

NTSTATUS status(std::uint32_t value) {
    return static_cast<NTSTATUS>(value);
}

bool is_text(const char* text, const char* wanted) {
    return std::string_view{text} == wanted;
}

bool copies_and_compares() {
    constexpr std::size_t bytes = 37;
    std::array<unsigned char, bytes> from{};
    std::array<unsigned char, bytes> to{};
    routine_named<Fill>(L"memset")(from.data(), 0xA5, bytes);
    from[bytes - 1] = 1;
    routine_named<Copy>(L"memcpy")(to.data(), from.data(), bytes);
    const auto compare = routine_named<Compare>(L"memcmp");
    const bool same = compare(from.data(), to.data(), bytes) == 0 && to[0] == 0xA5;
    to[bytes - 1] = 2;
    return same && compare(from.data(), to.data(), bytes) < 0 &&
           RtlCompareMemory(from.data(), to.data(), bytes) == bytes - 1;
}

bool moves_over_itself() {
    std::array<char, 8> text{'a', 'b', 'c', 'd', 'e', 'f', 'g', '\0'};
    const auto move = routine_named<Copy>(L"memmove");
    move(text.data() + 2, text.data(), 4);
    const bool up = is_text(text.data(), "ababcdg");
    move(text.data(), text.data() + 2, 4);
    return up && is_text(text.data(), "abcdcdg");
}

bool strings_compare() {
    const auto length = routine_named<Length>(L"strlen");
    const auto compare = routine_named<CompareText>(L"strcmp");
    const auto compare_some = routine_named<CompareSome>(L"strncmp");
    const auto compare_wide = routine_named<CompareWide>(L"_wcsnicmp");
    return length("") == 0 && length("four") == 4 && compare("a", "b") < 0 &&
           compare("same", "same") == 0 && compare("longer", "long") > 0 &&
           compare_some("abcd", "abXY", 2) == 0 && compare_some("abcd", "abXY", 3) > 0 &&
           compare_some("ab", "abc", 9) < 0 && compare_wide(L"AbC", L"aBcd", 3) == 0 &&
           compare_wide(L"AbC", L"aBcd", 4) < 0;
}

bool counted_strings_are_made_and_copied() {
    UNICODE_STRING source;
    RtlInitUnicodeString(&source, const_cast<wchar_t*>(L"wide text"));
    std::array<wchar_t, 4> room{};
    UNICODE_STRING target{0, sizeof(room), room.data()};
    RtlCopyUnicodeString(&target, &source);
    UNICODE_STRING none{1, 2, room.data()};
    RtlInitUnicodeString(&none, nullptr);
    return source.Length == 18 && source.MaximumLength == 20 && target.Length == sizeof(room) &&
           room[3] == L'e' && none.Length == 0 && none.Buffer == nullptr;
}

bool narrow_string_is_made() {
    char text[] = "narrow";
    ANSI_STRING string;
    RtlInitAnsiString(&string, text);
    return string.Length == 6 && string.MaximumLength == 7 && string.Buffer == text;
}

int print_safely(char* buffer, std::size_t bytes, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsprintf_s(buffer, bytes, format, arguments);
    va_end(arguments);
    return length;
}

int print_some(char* buffer, std::size_t bytes, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = routine_named<PrintSome>(L"_vsnprintf")(buffer, bytes, format, arguments);
    va_end(arguments);
    return length;
}

bool prints_safely(int (*print)(char*, std::size_t, const char*, ...)) {
    std::array<char, 8> text{};
    const bool fits = print(text.data(), text.size(), "%d-%s", 42, "abcd") == 7 &&
                      is_text(text.data(), "42-abcd");
    return fits && print(text.data(), text.size(), "%d-%s", 42, "abcde") == -1 && text[0] == '\0';
}

bool prints_what_fits() {
    std::array<char, 4> text{'z', 'z', 'z', 'z'};
    return print_some(text.data(), 4, "%x", 0xABCD) == 4 && text[3] == 'd' &&
           print_some(text.data(), 3, "%x", 0x1234) == -1 && text[2] == '3' && text[3] == 'd' &&
           print_some(text.data(), 4, "%u", 7) == 1 && text[1] == '\0';
}

bool version_is_windows_10() {
    RTL_OSVERSIONINFOEXW information{};
    information.dwOSVersionInfoSize = sizeof(information);
    information.wServicePackMajor = 9;
    const NTSTATUS result = RtlGetVersion(std::bit_cast<PRTL_OSVERSIONINFOW>(&information));
    return NT_SUCCESS(result) && information.dwMajorVersion == 10 &&
           information.dwMinorVersion == 0 && information.dwBuildNumber == 19044 &&
           information.wServicePackMajor == 0 && information.wProductType == 1;
}

bool images_are_found() {
    PVOID own{};
    PVOID kernel{};
    PVOID nothing{};
    RtlPcToFileHeader(std::bit_cast<PVOID>(&images_are_found), &own);
    RtlPcToFileHeader(routine_named<void>(L"DbgPrint"), &kernel);
    const PVOID none = RtlPcToFileHeader(&own, &nothing);  // the stack
    return *static_cast<const USHORT*>(own) == 0x5A4D && *static_cast<USHORT*>(kernel) == 0x5A4D &&
           own != kernel && none == nullptr && nothing == nullptr &&
           *static_cast<ULONG*>(RtlImageNtHeader(own)) == 0x4550 &&
           RtlImageNtHeader(&own) == nullptr;
}

bool bits_are_set_and_cleared() {
    std::array<ULONG, 3> words{0, 0xFFFF'FFFF, 0};
    RTL_BITMAP bitmap;
    RtlInitializeBitMap(&bitmap, words.data(), 96);
    RtlSetBit(&bitmap, 3);
    RtlSetBit(&bitmap, 64);
    RtlClearBits(&bitmap, 60, 5);
    return bitmap.SizeOfBitMap == 96 && words[0] == 8 && words[1] == 0x0FFF'FFFF && words[2] == 0;
}

constexpr const wchar_t* services =
    L"\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Services\\contract_rtl";

/// Opens a key; 0: it is not there.
NTSTATUS open(const wchar_t* path, HANDLE root, HANDLE& key) {
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, const_cast<wchar_t*>(path));
    OBJECT_ATTRIBUTES attributes{};
    attributes.Length = sizeof(attributes);
    attributes.RootDirectory = root;
    attributes.ObjectName = &name;
    attributes.Attributes = OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE;
    return ZwOpenKey(&key, KEY_READ, &attributes);
}

struct PartialValue {
    ULONG title;
    ULONG type;
    ULONG bytes;
    UCHAR data[128];
};

NTSTATUS query(HANDLE key, const wchar_t* value, PVOID buffer, ULONG bytes, ULONG& length) {
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, const_cast<wchar_t*>(value));
    return ZwQueryValueKey(key, &name, KeyValuePartialInformation, buffer, bytes, &length);
}

bool service_key_has_a_start_type() {
    HANDLE key{};
    PartialValue value{};
    ULONG length{};
    const bool opened = NT_SUCCESS(open(services, nullptr, key));
    const bool read = NT_SUCCESS(query(key, L"start", &value, sizeof(value), length));
    const NTSTATUS missing = query(key, L"NoSuchValue", &value, sizeof(value), length);
    ZwClose(key);
    return opened && read && value.type == REG_DWORD && value.bytes == 4 && value.data[0] == 3 &&
           missing == status(0xC0000034);
}

bool short_buffers_are_told() {
    HANDLE key{};
    PartialValue value{};
    ULONG length{};
    static_cast<void>(open(services, nullptr, key));
    const NTSTATUS too_small = query(key, L"ImagePath", &value, 8, length);
    const ULONG needed = length;
    const NTSTATUS overflow = query(key, L"ImagePath", &value, 16, length);
    const NTSTATUS fits = query(key, L"ImagePath", &value, needed, length);
    ZwClose(key);
    return too_small == status(0xC0000023) && overflow == status(0x80000005) && NT_SUCCESS(fits) &&
           value.type == REG_EXPAND_SZ && value.bytes + 12 == needed && value.data[0] == '\\';
}

bool keys_open_below_others() {
    HANDLE machine{};
    HANDLE key{};
    HANDLE none{};
    const bool opened = NT_SUCCESS(open(L"\\registry\\machine", nullptr, machine)) &&
                        NT_SUCCESS(open(L"System\\CurrentControlSet", machine, key));
    const NTSTATUS missing = open(L"\\Registry\\User", nullptr, none);
    const NTSTATUS relative = open(L"System", nullptr, none);
    ZwClose(key);
    ZwClose(machine);
    return opened && missing == status(0xC0000034) && relative == status(0xC000003B);
}

constexpr std::array promises{
    Promise{"memcpy", "copies", copies_and_compares},
    Promise{"memset", "fills", copies_and_compares},
    Promise{"memcmp", "finds the first difference", copies_and_compares},
    Promise{"RtlCompareMemory", "counts what is equal", copies_and_compares},
    Promise{"memmove", "moves over itself, both ways", moves_over_itself},
    Promise{"strlen", "counts", strings_compare},
    Promise{"strcmp", "compares", strings_compare},
    Promise{"strncmp", "compares so many", strings_compare},
    Promise{"_wcsnicmp", "compares without case", strings_compare},
    Promise{"RtlInitUnicodeString", "counts bytes", counted_strings_are_made_and_copied},
    Promise{"RtlCopyUnicodeString", "copies what fits", counted_strings_are_made_and_copied},
    Promise{"RtlInitAnsiString", "counts bytes", narrow_string_is_made},
    Promise{"sprintf_s", "all or nothing", [] { return prints_safely(sprintf_s); }},
    Promise{"vsprintf_s", "all or nothing", [] { return prints_safely(print_safely); }},
    Promise{"_vsnprintf", "what fits", prints_what_fits},
    Promise{"RtlGetVersion", "is 10.0.19044", version_is_windows_10},
    Promise{"RtlPcToFileHeader", "finds driver and kernel, and nothing else", images_are_found},
    Promise{"RtlImageNtHeader", "finds the PE header", images_are_found},
    Promise{"RtlInitializeBitMap", "keeps the bits", bits_are_set_and_cleared},
    Promise{"RtlSetBit", "sets one", bits_are_set_and_cleared},
    Promise{"RtlClearBits", "clears over a word's end", bits_are_set_and_cleared},
    Promise{"ZwOpenKey", "opens keys by path and below others", keys_open_below_others},
    Promise{"ZwOpenKey", "the driver's own service is there", service_key_has_a_start_type},
    Promise{"ZwQueryValueKey", "reads a number, whatever the name's case",
            service_key_has_a_start_type},
    Promise{"ZwQueryValueKey", "tells how long the buffer must be", short_buffers_are_told},
};

constexpr std::array mistakes{
    Mistake{"RtlGetVersion", "at DISPATCH_LEVEL",
            [] { at_irql(DISPATCH_LEVEL, [] { static_cast<void>(version_is_windows_10()); }); },
            "IrqlTooHigh"},
    Mistake{"ZwOpenKey", "at APC_LEVEL",
            [] {
                at_irql(APC_LEVEL, [] {
                    HANDLE key{};
                    static_cast<void>(open(L"\\None", nullptr, key));
                });
            },
            "IrqlTooHigh"},
    Mistake{"ZwQueryValueKey", "a handle that is not open",
            [] {
                ULONG length{};
                static_cast<void>(query(nullptr, L"Start", nullptr, 0, length));
            },
            "InvalidHandle"},
    Mistake{"ZwOpenKey", "a handle stays open until the end",
            [] {
                HANDLE key{};
                static_cast<void>(open(L"\\Registry", nullptr, key));
            },
            "HandleLeftOpen"},
};

constexpr const char* no_check = "any IRQL; a bad pointer is a page fault like any other";

constexpr std::array harmless{
    Harmless{"memcpy", no_check},
    Harmless{"memmove", no_check},
    Harmless{"memset", no_check},
    Harmless{"memcmp", no_check},
    Harmless{"strlen", no_check},
    Harmless{"strcmp", no_check},
    Harmless{"strncmp", no_check},
    Harmless{"_wcsnicmp", no_check},
    Harmless{"sprintf_s", no_check},
    Harmless{"vsprintf_s", no_check},
    Harmless{"_vsnprintf", no_check},
    Harmless{"RtlCompareMemory", no_check},
    Harmless{"RtlInitUnicodeString", no_check},
    Harmless{"RtlInitAnsiString", no_check},
    Harmless{"RtlCopyUnicodeString", no_check},
    Harmless{"RtlInitializeBitMap", no_check},
    Harmless{"RtlSetBit", no_check},
    Harmless{"RtlClearBits", no_check},
    Harmless{"RtlPcToFileHeader", "any IRQL; null for an address that is in no image"},
    Harmless{"RtlImageNtHeader", "any IRQL; null for an address where no image begins"},
};

constexpr Contract contract{"contract_rtl", promises, mistakes, {}, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
