// What the stack looks like when an exception is over: the registers that lab/nt/rtl restores, and
// frames that are not where they should be.
// [Windows: x64 exception handling] [Windows: try-except statement]
#include <array>

#include "tests/drivers/contract.hpp"

extern "C" {
// prologues.S
void saved_in_home(void (*work)());
void saved_below_frame_register(void (*work)());
void saved_in_a_part(void (*work)());
void call_on_other_stack(void (*work)(), void* stack_end);
bool calls_with_marked_registers(void (*routine)(void (*)()), void (*work)());
bool call_and_catch(void (*routine)(void (*)()), void (*work)());

NTSYSAPI VOID NTAPI _local_unwind(PVOID frame, PVOID target);
}

namespace {

using namespace hvp::tests;

// ---- Registers --------------------------------------------------------------------------------

// What faults stands in a function of its own: clang drops a __try around inline assembly.
[[gnu::noinline]] void fault() {
    int value{};
    asm volatile("movl 8, %0" : "=r"(value));
}

void nothing() {}

template <void (*routine)(void (*)())>
bool gives_registers_back() {
    return calls_with_marked_registers(routine, fault) &&
           !calls_with_marked_registers(routine, nothing);
}

// ---- Other stacks -----------------------------------------------------------------------------

alignas(16) constinit std::array<std::byte, 0x4000> other_stack{};
constinit std::byte* own_stack{};

void* end_of_other_stack() {
    return other_stack.data() + other_stack.size();
}

void fault_on_other_stack(void (*work)()) {
    call_on_other_stack(work, end_of_other_stack());
}

/// The fault itself comes on the thread's stack; what has called it does not lie there.
void fault_below_other_stack(void (*)()) {
    constexpr std::size_t room = 0x2000;
    alignas(16) std::array<std::byte, room> own;
    own_stack = own.data() + own.size();
    call_on_other_stack([] { call_on_other_stack(fault, own_stack); }, end_of_other_stack());
}

constexpr std::array promises{
    Promise{"RtlUnwindEx", "finds registers in the caller's home space",
            gives_registers_back<saved_in_home>},
    Promise{"RtlUnwindEx", "finds registers from the frame register on, though RSP has moved",
            gives_registers_back<saved_below_frame_register>},
    Promise{"RtlUnwindEx", "finds registers that a part of a function has saved",
            gives_registers_back<saved_in_a_part>},
};

constexpr std::array crashes{
    Crash{"_local_unwind", "a frame that is not on the stack", "-local-unwind",
          [] { _local_unwind(other_stack.data(), nullptr); }, 0x7E},
    Crash{"__C_specific_handler", "a fault on a stack that is not the thread's", "-other-stack",
          [] { static_cast<void>(call_and_catch(fault_on_other_stack, fault)); }, 0x1AA},
    Crash{"__C_specific_handler", "a __try block beyond a frame on another stack",
          "-frame-elsewhere",
          [] { static_cast<void>(call_and_catch(fault_below_other_stack, fault)); }, 0x7E},
};

constexpr Contract contract{"contract_frames", promises, {}, crashes, {}};

}  // namespace

/// Whether something was caught.
extern "C" bool call_and_catch(void (*routine)(void (*)()), void (*work)()) {
    __try {
        routine(work);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return true;
    }
    return false;
}

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
