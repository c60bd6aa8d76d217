// A driver as Microsoft's tools make it: compiled for x86_64-pc-windows-msvc with stack cookies,
// control flow guard, stack probes and SSE; no header of mingw-w64 fits that, so what it needs of
// Windows is declared here. Under its own name it says how each feature went; under its name with
// -overrun it overruns a buffer on its stack, with -list it finds a broken list.
extern "C" {

using Status = int;
constexpr Status success = 0;
constexpr Status unsuccessful = static_cast<Status>(0xC0000001);

struct UnicodeString {
    unsigned short length;
    unsigned short maximum_length;
    wchar_t* buffer;
};

struct DriverObject {
    unsigned char unused[0x68];
    void (*unload)(DriverObject*);
};

__declspec(dllimport) unsigned DbgPrintEx(unsigned component, unsigned level, const char* format,
                                          ...);
__declspec(dllimport) void* IoGetCurrentProcess();
__declspec(dllimport) extern void* PsInitialSystemProcess;
__declspec(dllimport) extern char KeNumberProcessors;

extern unsigned long long __security_cookie;  // msvc_support.S
int _fltused = 0;                             // what MSVC's objects with floating point refer to

// Calls that the linker takes from a second import library for the same module.
__declspec(dllimport) unsigned char KeGetCurrentIrql();

}  // extern "C"

namespace {

constexpr unsigned component = 77;  // DPFLTR_IHVDRIVER_ID
constexpr unsigned level = 3;       // DPFLTR_INFO_LEVEL

bool all_good = true;

void say(const char* what, bool good) {
    all_good = all_good && good;
    DbgPrintEx(component, level, "Feature what=\"%s\" good=%d\n", what, good);
}

template <typename T>
void use(T& value) {
    asm volatile("" : : "r"(&value) : "memory");
}

/// More than a page: the compiler probes each page of it in turn, by __chkstk.
__declspec(noinline) unsigned use_big_frame(unsigned value) {
    volatile unsigned room[3000];
    use(room);
    room[0] = value;
    room[2999] = value + 1;
    return room[0] + room[2999];
}

/// A buffer that text is copied into: such functions have a cookie between it and the return
/// address.
__declspec(noinline) unsigned copy_text(const char* text, unsigned bytes) {
    char buffer[16];
    use(buffer);
    for (unsigned i = 0; i < bytes; ++i) {
        const_cast<volatile char*>(buffer)[i] = text[i];
    }
    use(buffer);
    return static_cast<unsigned>(buffer[0]);
}

unsigned twice(unsigned value) {
    return value * 2;
}

unsigned (*volatile indirect)(unsigned) = twice;

__declspec(noinline) double half(double value) {
    return value / 2;
}

volatile int* volatile nowhere = nullptr;

/// The fault stands in the __try block itself: with Microsoft's compiler any instruction may fault.
__declspec(noinline) bool null_is_caught() {
    __try {
        *nowhere = 1;
    } __except (1) {
        return true;
    }
    return false;
}

bool ends_with(const UnicodeString& path, const wchar_t* text, unsigned characters) {
    const unsigned length = path.length / sizeof(wchar_t);
    for (unsigned i = 0; i < characters; ++i) {
        if (length < characters || path.buffer[length - characters + i] != text[i]) {
            return false;
        }
    }
    return true;
}

struct Entry {
    Entry* next;
    Entry* previous;
};

/// What the WDK's inline list functions do about a list that is not one.
__declspec(noinline) void remove(Entry& entry) {
    constexpr unsigned corrupt_list_entry = 3;
    if (entry.next->previous != &entry || entry.previous->next != &entry) {
        __fastfail(corrupt_list_entry);
    }
    entry.next->previous = entry.previous;
    entry.previous->next = entry.next;
}

void unload(DriverObject*) {}

}  // namespace

extern "C" Status DriverEntry(DriverObject* driver, UnicodeString* path) {
    driver->unload = unload;
    if (ends_with(*path, L"-overrun", 8)) {
        return static_cast<Status>(copy_text("a text that is longer than its room of 16", 41));
    }
    if (ends_with(*path, L"-list", 5)) {
        Entry other{};
        Entry entry{&other, &other};
        remove(entry);
        return success;
    }
    constexpr unsigned long long default_cookie = 0x2B99'2DDF'A232;
    say("__chkstk", use_big_frame(20) == 41);
    say("two import descriptors", KeGetCurrentIrql() == 0);
    say("data imports", PsInitialSystemProcess == IoGetCurrentProcess() && KeNumberProcessors > 0);
    say("the cookie", __security_cookie != default_cookie && __security_cookie >> 48 == 0);
    say("/GS", copy_text("short", 6) == 's');
    say("CFG", indirect(21) == 42);
    say("SSE", half(5.0) == 2.5);
    say("__try", null_is_caught());
    return all_good ? success : unsuccessful;
}
