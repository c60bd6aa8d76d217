// Examines one call into the driver.
#include "lab/nt/examiner/driver_call.hpp"

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/difference.hpp"
#include "lab/nt/examiner/pending.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/thread.hpp"

namespace hvp::lab::examiner {
namespace {

extern "C" void call_driver(DriverCall* call);  // driver_call.S

using namespace std::string_view_literals;

constexpr std::array general_names{"RBX"sv, "RBP"sv, "RSI"sv, "RDI"sv,
                                   "R12"sv, "R13"sv, "R14"sv, "R15"sv};

constexpr std::array vector_names{"XMM6"sv,  "XMM7"sv,  "XMM8"sv,  "XMM9"sv,  "XMM10"sv,
                                  "XMM11"sv, "XMM12"sv, "XMM13"sv, "XMM14"sv, "XMM15"sv};

// TF, IF, DF, IOPL, NT, AC: the flags that are not results of arithmetic.
constexpr std::uint64_t system_flags = 0x100 | 0x200 | 0x400 | 0x3000 | 0x4000 | 0x4'0000;

template <std::size_t count>
void fill_with_patterns(std::array<std::uint64_t, count>& values, std::uint64_t pattern) {
    for (auto& value : values) {
        value = pattern;
        pattern += 0x0101'0101'0101'0101;
    }
}

void compare(std::string_view item, std::uint64_t before, std::uint64_t after) {
    if (before != after) {
        report_difference(item, before, after);
    }
}

void compare_registers(const DriverCall& call) {
    for (std::size_t i = 0; i < general_names.size(); ++i) {
        compare(general_names[i], call.general_before[i], call.general_after[i]);
    }
    for (std::size_t i = 0; i < vector_names.size(); ++i) {
        const bool low_is_kept = call.vector_before[2 * i] == call.vector_after[2 * i];
        const std::size_t half = 2 * i + (low_is_kept ? 1 : 0);
        compare(vector_names[i], call.vector_before[half], call.vector_after[half]);
    }
    compare("RFLAGS", call.rflags_before & system_flags, call.rflags_after & system_flags);
    compare("CR8", 0, call.irql_after);
}

void check_affinity(std::string_view what) {
    auto& affinity = ke::current_thread().system_affinity;
    if (affinity != 0) {
        rtl::Sentence detail{what};
        detail.put(" returned with the thread still bound to processors ").hex(affinity);
        report_finding("AffinityNotReverted", detail, no_verifier_code, 0);
        affinity = 0;
    }
}

}  // namespace

std::uint64_t call_and_examine(std::string_view what, DriverCall& call) {
    fill_with_patterns(call.general_before, 0x1011'1213'1415'1617);
    fill_with_patterns(call.vector_before, 0x2021'2223'2425'2627);
    call_driver(&call);
    ke::set_irql(ke::Irql::passive);
    compare_registers(call);
    check_affinity(what);
    report_held_mutexes(what);
    return call.result;
}

}  // namespace hvp::lab::examiner
