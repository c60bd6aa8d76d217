// Structured exceptions: __try, __except, __finally, and what lab/nt/rtl exports for them.
#include <array>
#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "tests/drivers/contract.hpp"

extern "C" {
NTSYSAPI VOID NTAPI ExRaiseStatus(NTSTATUS Status);
NTSYSAPI VOID NTAPI RtlRaiseException(PEXCEPTION_RECORD ExceptionRecord);
NTSYSAPI VOID NTAPI RtlRestoreContext(PCONTEXT ContextRecord, PEXCEPTION_RECORD ExceptionRecord);
[[gnu::returns_twice]] NTSYSAPI VOID NTAPI RtlCaptureContext(PCONTEXT ContextRecord);
NTSYSAPI VOID NTAPI RtlUnwindEx(PVOID TargetFrame, PVOID TargetIp, PEXCEPTION_RECORD Record,
                                PVOID ReturnValue, PCONTEXT Context, PVOID HistoryTable);
}

namespace {

using namespace hvp::tests;

constexpr ULONG access_violation = 0xC0000005;
constexpr ULONG divide_by_zero = 0xC0000094;
constexpr ULONG illegal_instruction = 0xC000001D;
constexpr ULONG breakpoint = 0x80000003;
constexpr ULONG own_status = 0xE0000001;
constexpr ULONG noncontinuable = 0xC0000025;

// What faults stands in a function of its own: clang drops a __try around inline assembly.
[[gnu::noinline]] int read_null() {
    int value{};
    asm volatile("movl 8, %0" : "=r"(value));
    return value;
}

[[gnu::noinline]] int read_non_canonical() {
    int value{};
    asm volatile("movl (%1), %0" : "=r"(value) : "r"(0x0000'8000'0000'0000ULL));
    return value;
}

[[gnu::noinline]] int divide() {
    int value = 1;
    asm volatile("cltd\n\tidivl %1" : "+a"(value) : "r"(0) : "edx");
    return value;
}

[[gnu::noinline]] int read_unknown_msr() {
    std::uint32_t low{};
    asm volatile("rdmsr" : "=a"(low) : "c"(0xDEAD) : "edx");
    return static_cast<int>(low);
}

[[gnu::noinline]] int execute_nothing() {
    asm volatile("ud2");
    return 0;
}

[[gnu::noinline]] int execute_breakpoint() {
    asm volatile("int3");
    return 0;
}

[[gnu::noinline]] int raise_status() {
    ExRaiseStatus(static_cast<NTSTATUS>(own_status));
    return 0;
}

/// What a filter has seen.
struct Seen {
    ULONG code;
    ULONG flags;
    ULONG parameters;
    ULONG_PTR information[2];
    std::uint64_t address;
    std::uint64_t rip;
};

constinit Seen seen{};

int look(const EXCEPTION_POINTERS* pointers) {
    const EXCEPTION_RECORD& record = *pointers->ExceptionRecord;
    seen = {static_cast<ULONG>(record.ExceptionCode),
            record.ExceptionFlags,
            record.NumberParameters,
            {record.ExceptionInformation[0], record.ExceptionInformation[1]},
            std::bit_cast<std::uint64_t>(record.ExceptionAddress),
            pointers->ContextRecord->Rip};
    return EXCEPTION_EXECUTE_HANDLER;
}

[[gnu::noinline]] bool is_caught(int (*work)()) {
    seen = {};
    __try {
        static_cast<void>(work());
    } __except (look(static_cast<const EXCEPTION_POINTERS*>(_exception_info()))) {
        return true;
    }
    return false;
}

bool null_read_is_caught() {
    return is_caught(read_null) && seen.code == access_violation && seen.parameters == 2 &&
           seen.information[0] == 0 && seen.information[1] == 8 && seen.address == seen.rip;
}

bool general_protection_is_caught() {
    return is_caught(read_non_canonical) && seen.code == access_violation &&
           seen.information[0] == 0 && seen.information[1] == ~0ULL;
}

bool msr_is_caught_at_dispatch_level() {
    bool caught = false;
    at_irql(DISPATCH_LEVEL, [&] { caught = is_caught(read_unknown_msr); });
    return caught && seen.code == access_violation && seen.information[1] == ~0ULL;
}

bool others_have_their_codes() {
    return is_caught(divide) && seen.code == divide_by_zero && seen.parameters == 0 &&
           is_caught(execute_nothing) && seen.code == illegal_instruction &&
           is_caught(execute_breakpoint) && seen.code == breakpoint &&
           *std::bit_cast<const unsigned char*>(seen.rip) == 0xCC;
}

bool nothing_is_caught_when_nothing_happens() {
    return !is_caught([]() -> int { return 0; });
}

constinit unsigned trail{};

int leave_mark(unsigned mark, int answer) {
    trail = trail * 10 + mark;
    return answer;
}

[[gnu::noinline]] void clean_up_around_fault() {
    __try {
        static_cast<void>(read_null());
    } __finally {
        leave_mark(_abnormal_termination() ? 2 : 9, 0);
    }
}

[[gnu::noinline]] void refuse_the_fault() {
    __try {
        clean_up_around_fault();
    } __except (leave_mark(1, EXCEPTION_CONTINUE_SEARCH)) {
        leave_mark(9, 0);
    }
}

/// First all filters from the inside out, then the __finally blocks, then the handler.
bool order_is_right() {
    trail = 0;
    __try {
        refuse_the_fault();
    } __except (leave_mark(4, EXCEPTION_EXECUTE_HANDLER)) {
        leave_mark(3, 0);
    }
    return trail == 1423;
}

[[gnu::noinline]] void end_normally() {
    __try {
        leave_mark(1, 0);
    } __finally {
        leave_mark(_abnormal_termination() ? 9 : 2, 0);
    }
}

bool finally_runs_without_an_exception() {
    trail = 0;
    end_normally();
    return trail == 12;
}

int skip_instruction(PEXCEPTION_POINTERS pointers) {
    constexpr std::uint64_t ud2_bytes = 2;
    pointers->ContextRecord->Rip += ud2_bytes;
    return EXCEPTION_CONTINUE_EXECUTION;
}

[[gnu::noinline]] std::uint64_t ud2_between_registers(std::uint64_t value) {
    std::uint64_t vector{};
    asm volatile(
        "movq %[value], %%xmm3\n\t"
        "movq %[value], %%r13\n\t"
        "ud2\n\t"
        "movq %%xmm3, %[vector]\n\t"
        "xorq %%r13, %[vector]"
        : [vector] "=&r"(vector)
        : [value] "r"(value)
        : "r13", "xmm3");
    return vector;
}

bool execution_continues_with_all_registers() {
    std::uint64_t difference = 1;
    __try {
        difference = ud2_between_registers(0x1234'5678'9ABC'DEF0);
    } __except (skip_instruction(static_cast<PEXCEPTION_POINTERS>(_exception_info()))) {
        return false;
    }
    return difference == 0;
}

/// The handler's function finds its variables and its callers' registers as they were.
bool registers_survive_an_unwind() {
    volatile std::uint64_t sum = 0;
    for (std::uint64_t i = 1; i <= 10; ++i) {
        std::uint64_t mine = opaque(i * 3);
        if (is_caught(read_null)) {
            sum = sum + mine;
        }
    }
    return sum == 165;
}

[[gnu::noinline]] int fault_in_handler() {
    __try {
        return read_null();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return divide();
    }
}

bool a_fault_in_a_handler_goes_outwards() {
    return is_caught(fault_in_handler) && seen.code == divide_by_zero;
}

bool status_is_raised() {
    return is_caught(raise_status) && seen.code == own_status &&
           (seen.flags & EXCEPTION_NONCONTINUABLE) != 0;
}

int insist(ULONG code) {
    return code == noncontinuable ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_EXECUTION;
}

bool noncontinuable_does_not_continue() {
    __try {
        static_cast<void>(raise_status());
    } __except (insist(_exception_code())) {
        return true;
    }
    return false;
}

[[gnu::noinline]] void raise_record() {
    EXCEPTION_RECORD record{};
    record.ExceptionCode = static_cast<NTSTATUS>(own_status);
    record.NumberParameters = 1;
    record.ExceptionInformation[0] = 77;
    RtlRaiseException(&record);
}

bool raised_exception_may_continue() {
    unsigned behind = 0;
    __try {
        raise_record();
        behind = 1;
    } __except (look(static_cast<const EXCEPTION_POINTERS*>(_exception_info())),
                EXCEPTION_CONTINUE_EXECUTION) {
        return false;
    }
    return behind == 1 && seen.code == own_status && seen.information[0] == 77;
}

alignas(16) constinit CONTEXT context{};
constinit volatile unsigned rounds{};

bool context_returns_twice() {
    rounds = 0;
    volatile unsigned mine = 5;
    RtlCaptureContext(&context);
    rounds = rounds + 1;
    if (rounds == 1) {
        mine = mine + 1;
        RtlRestoreContext(&context, nullptr);
    }
    return rounds == 2 && mine == 6;
}

constexpr std::array promises{
    Promise{"__C_specific_handler", "a read of null is an access violation at that address",
            null_read_is_caught},
    Promise{"__C_specific_handler", "a general protection fault is one at -1",
            general_protection_is_caught},
    Promise{"__C_specific_handler", "RDMSR of an unknown MSR is caught, at DISPATCH_LEVEL too",
            msr_is_caught_at_dispatch_level},
    Promise{"__C_specific_handler", "divide error, invalid opcode, breakpoint",
            others_have_their_codes},
    Promise{"__C_specific_handler", "does nothing when nothing happens",
            nothing_is_caught_when_nothing_happens},
    Promise{"__C_specific_handler", "filters, then finally blocks, then the handler",
            order_is_right},
    Promise{"__C_specific_handler", "finally runs without an exception",
            finally_runs_without_an_exception},
    Promise{"__C_specific_handler", "execution continues with all registers",
            execution_continues_with_all_registers},
    Promise{"__C_specific_handler", "a fault in a handler goes outwards",
            a_fault_in_a_handler_goes_outwards},
    Promise{"RtlUnwindEx", "gives a handler its registers", registers_survive_an_unwind},
    Promise{"ExRaiseStatus", "raises an exception with that code", status_is_raised},
    Promise{"ExRaiseStatus", "who continues is told that this cannot be",
            noncontinuable_does_not_continue},
    Promise{"RtlRaiseException", "execution may continue behind the call",
            raised_exception_may_continue},
    Promise{"RtlCaptureContext", "returns a second time", context_returns_twice},
    Promise{"RtlRestoreContext", "goes on behind RtlCaptureContext", context_returns_twice},
};

constexpr std::array crashes{
    Crash{"__C_specific_handler", "a filter that wants nothing", "-unwanted",
          [] { refuse_the_fault(); }, 0x7E},
    Crash{"ExRaiseStatus", "outside of __try", "-raise-status", [] { raise_status(); }, 0x7E},
    Crash{"RtlRaiseException", "outside of __try", "-raise-exception", raise_record, 0x7E},
    Crash{"RtlUnwindEx", "a frame that is not on the stack", "-unwind",
          [] { RtlUnwindEx(&context, nullptr, nullptr, nullptr, &context, nullptr); }, 0x7E},
    Crash{"RtlRestoreContext", "a context that leads nowhere", "-restore",
          [] {
              RtlCaptureContext(&context);
              context.Rip = 8;
              RtlRestoreContext(&context, nullptr);
          },
          0x7E},
};

constexpr std::array harmless{
    Harmless{"RtlCaptureContext", "writes where it is told to, at any IRQL"},
};

constexpr Contract contract{"contract_seh", promises, {}, crashes, harmless};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
