// Exceptions within exceptions: the order in which lab/nt/rtl asks filters and runs __finally
// blocks. [Windows: x64 exception handling] [Windows: try-except statement] [Windows: try-finally
// statement]
#include <array>
#include <bit>

#include "tests/drivers/contract.hpp"

/// jump_out_of_try.S
extern "C" bool jump_out_of_try(void (*finally)(BOOLEAN abnormal, void* frame));

namespace {

using namespace hvp::tests;

constexpr ULONG access_violation = 0xC0000005;
constexpr ULONG divide_by_zero = 0xC0000094;

// What faults stands in a function of its own: clang drops a __try around inline assembly.
[[gnu::noinline]] int read_null() {
    int value{};
    asm volatile("movl 8, %0" : "=r"(value));
    return value;
}

[[gnu::noinline]] int divide() {
    int value = 1;
    asm volatile("cltd\n\tidivl %1" : "+a"(value) : "r"(0) : "edx");
    return value;
}

/// Keeps a call apart from the next one. clang 19 lets the range of a block reach one byte beyond
/// its last call, so that it holds the return address; where another call begins there, blocks
/// around both are in the table twice for this address, and would run twice, on Windows too.
[[gnu::always_inline]] inline void end_of_block() {
    asm volatile("nop");
}

/// The marks that were passed, in order.
constinit std::uint64_t trail{};

int mark(unsigned number, int answer = 0) {
    trail = trail * 10 + number;
    return answer;
}

/// One mark for each exception: an access violation, a division by zero, anything else.
int mark_code(ULONG code, unsigned violation, unsigned division, int answer) {
    const unsigned number = code == access_violation ? violation
                            : code == divide_by_zero ? division
                                                     : 9;
    return mark(number, answer);
}

// ---- Blocks within one function ---------------------------------------------------------------

[[gnu::noinline]] void four_blocks() {
    __try {
        __try {
            __try {
                __try {
                    static_cast<void>(read_null());
                } __except (mark(1, EXCEPTION_CONTINUE_SEARCH)) {
                    mark(9);
                }
            } __finally {
                mark(_abnormal_termination() ? 3 : 9);
            }
        } __except (mark(2, EXCEPTION_EXECUTE_HANDLER)) {
            mark(4);
        }
        mark(5);
    } __finally {
        mark(_abnormal_termination() ? 9 : 6);
    }
}

bool inner_blocks_come_first() {
    trail = 0;
    four_blocks();
    return trail == 123456;
}

[[gnu::noinline]] int return_from_try() {
    __try {
        mark(1);
        if (opaque(true)) {
            return mark(2, 7);
        }
        mark(9);
    } __finally {
        mark(_abnormal_termination() ? 3 : 9);
    }
    return mark(9);
}

bool finally_runs_on_the_way_out_of_a_return() {
    trail = 0;
    return return_from_try() == 7 && trail == 123;
}

bool finally_runs_on_the_way_out_of_a_jump() {
    trail = 0;
    return jump_out_of_try([](BOOLEAN abnormal, void*) { mark(abnormal != 0 ? 1 : 9); }) &&
           trail == 1;
}

// ---- Continuing -------------------------------------------------------------------------------

[[gnu::noinline]] std::uint64_t execute_nothing() {
    std::uint64_t value = 1;
    asm volatile("ud2\n\taddq $41, %0" : "+a"(value));
    return value;
}

int skip_instruction(PEXCEPTION_POINTERS pointers) {
    constexpr std::uint64_t ud2_bytes = 2;
    pointers->ContextRecord->Rip += ud2_bytes;
    return mark(1, EXCEPTION_CONTINUE_EXECUTION);
}

[[gnu::noinline]] void clean_up_later() {
    __try {
        mark(execute_nothing() == 42 ? 2 : 9);
    } __finally {
        mark(_abnormal_termination() ? 9 : 3);
    }
}

bool who_continues_unwinds_nothing() {
    trail = 0;
    __try {
        clean_up_later();
    } __except (skip_instruction(static_cast<PEXCEPTION_POINTERS>(_exception_info()))) {
        mark(9);
    }
    return trail == 123;
}

// ---- An exception in a filter -----------------------------------------------------------------

constinit bool was_nested{};
constinit bool is_nested_outside{};

bool is_nested(const void* pointers) {
    constexpr ULONG nested_call = 0x10;
    const auto* record = static_cast<const EXCEPTION_POINTERS*>(pointers)->ExceptionRecord;
    return (record->ExceptionFlags & nested_call) != 0;
}

/// Faults when it is asked for the first time. The second exception comes to it too: it lies on the
/// stack below the block.
[[gnu::noinline]] int faulting_filter(ULONG code, const void* pointers) {
    mark_code(code, 1, 2, 0);
    if (code == access_violation) {
        return divide();
    }
    was_nested = is_nested(pointers);
    return EXCEPTION_CONTINUE_SEARCH;
}

[[gnu::noinline]] void fault_with_a_faulting_filter() {
    __try {
        static_cast<void>(read_null());
    } __except (faulting_filter(_exception_code(), _exception_info())) {
        mark(9);
    }
}

bool a_fault_in_a_filter_is_an_exception_of_its_own() {
    trail = 0;
    was_nested = false;
    is_nested_outside = true;
    __try {
        fault_with_a_faulting_filter();
    } __except ((is_nested_outside = is_nested(_exception_info())),
                mark_code(_exception_code(), 9, 3, EXCEPTION_EXECUTE_HANDLER)) {
        mark(4);
    }
    return trail == 1234 && was_nested && !is_nested_outside;
}

[[gnu::noinline]] int filter_that_catches() {
    mark(1);
    __try {
        static_cast<void>(divide());
    } __except (mark_code(_exception_code(), 9, 2, EXCEPTION_EXECUTE_HANDLER)) {
        mark(3);
    }
    return mark(4, EXCEPTION_EXECUTE_HANDLER);
}

bool a_filter_may_catch_what_it_causes() {
    trail = 0;
    ULONG code = 0;
    __try {
        static_cast<void>(read_null());
    } __except (filter_that_catches()) {
        code = _exception_code();
    }
    return trail == 1234 && code == access_violation;
}

// ---- An exception in a __finally block --------------------------------------------------------

[[gnu::noinline]] void innermost() {
    __try {
        static_cast<void>(read_null());
    } __finally {
        mark(2);
    }
}

[[gnu::noinline]] void faults_in_finally() {
    __try {
        __try {
            innermost();
            end_of_block();
        } __finally {
            mark(3);
            static_cast<void>(divide());
            mark(9);
        }
    } __finally {
        mark(5);
    }
}

[[gnu::noinline]] void around_it() {
    __try {
        faults_in_finally();
    } __finally {
        mark(6);
    }
}

/// The first exception has left `innermost` when the second comes: its block is not run again, nor
/// is the one that caused it.
bool a_fault_in_finally_takes_over() {
    trail = 0;
    ULONG code = 0;
    __try {
        around_it();
    } __except (mark_code(_exception_code(), 1, 4, EXCEPTION_EXECUTE_HANDLER)) {
        code = _exception_code();
        mark(7);
    }
    return trail == 1234567 && code == divide_by_zero;
}

[[gnu::noinline]] void caught_half_way() {
    __try {
        faults_in_finally();
    } __except (mark_code(_exception_code(), 8, 4,
                          _exception_code() == divide_by_zero ? EXCEPTION_EXECUTE_HANDLER
                                                              : EXCEPTION_CONTINUE_SEARCH)) {
        mark(6);
    }
    mark(7);
}

/// The first exception was on its way to this function. It never arrives.
bool the_second_exception_may_end_sooner() {
    trail = 0;
    __try {
        caught_half_way();
        mark(0);
    } __except (mark(1, EXCEPTION_EXECUTE_HANDLER)) {
        mark(9);
    }
    return trail == 81234567'0;
}

[[gnu::noinline]] void catches_in_finally() {
    __try {
        static_cast<void>(read_null());
    } __finally {
        mark(2);
        __try {
            static_cast<void>(divide());
        } __except (mark_code(_exception_code(), 9, 3, EXCEPTION_EXECUTE_HANDLER)) {
            mark(4);
        }
        mark(5);
    }
}

bool a_finally_block_may_catch_what_it_causes() {
    trail = 0;
    ULONG code = 0;
    __try {
        catches_in_finally();
    } __except (mark_code(_exception_code(), 1, 9, EXCEPTION_EXECUTE_HANDLER)) {
        code = _exception_code();
        mark(6);
    }
    return trail == 123456 && code == access_violation;
}

// ---- Where nothing is known of the code -------------------------------------------------------

bool a_call_of_null_is_caught() {
    void (*nothing)() = opaque<void (*)()>(nullptr);
    bool as_told = false;
    __try {
        nothing();
    } __except (
        as_told =
            [](const EXCEPTION_POINTERS* pointers) {
                constexpr ULONG_PTR executed = 8;
                const EXCEPTION_RECORD& record = *pointers->ExceptionRecord;
                return record.ExceptionCode == static_cast<NTSTATUS>(access_violation) &&
                       record.ExceptionAddress == nullptr && record.NumberParameters == 2 &&
                       record.ExceptionInformation[0] == executed &&
                       record.ExceptionInformation[1] == 0 && pointers->ContextRecord->Rip == 0;
            }(static_cast<const EXCEPTION_POINTERS*>(_exception_info())),
        EXCEPTION_EXECUTE_HANDLER) {
        return as_told;
    }
    return false;
}

constexpr std::array promises{
    Promise{"__C_specific_handler", "asks the inner blocks of a function first",
            inner_blocks_come_first},
    Promise{"__C_specific_handler", "finally runs on the way out of a return",
            finally_runs_on_the_way_out_of_a_return},
    Promise{"__C_specific_handler", "who continues unwinds nothing", who_continues_unwinds_nothing},
    Promise{"__C_specific_handler", "a fault in a filter is an exception of its own",
            a_fault_in_a_filter_is_an_exception_of_its_own},
    Promise{"__C_specific_handler", "a filter may catch what it causes",
            a_filter_may_catch_what_it_causes},
    Promise{"__C_specific_handler", "a call of null is caught", a_call_of_null_is_caught},
    Promise{"_local_unwind", "finally runs on the way out of a jump",
            finally_runs_on_the_way_out_of_a_jump},
    Promise{"RtlUnwindEx", "a fault in finally takes over, and no block runs twice",
            a_fault_in_finally_takes_over},
    Promise{"RtlUnwindEx", "the second exception may end sooner than the first",
            the_second_exception_may_end_sooner},
    Promise{"RtlUnwindEx", "a finally block may catch what it causes",
            a_finally_block_may_catch_what_it_causes},
};

constexpr Contract contract{"contract_unwind", promises, {}, {}, {}};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
