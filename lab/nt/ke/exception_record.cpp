// Turns a trap frame into Windows' records.
#include "lab/nt/ke/exception_record.hpp"

#include <bit>

#include "lab/nt/rtl/context.hpp"

namespace hvp::lab::ke {
namespace {

/// [Windows: EXCEPTION_RECORD structure]
struct ExceptionRecord {
    std::uint32_t code{};
    std::uint32_t flags{};
    ExceptionRecord* next{};
    std::uint64_t address{};
    std::uint32_t parameter_count{};
    std::uint32_t unused{};
    std::array<std::uint64_t, 15> information{};
};
static_assert(sizeof(ExceptionRecord) == 0x98);

constinit ExceptionRecord last_record{};
constinit rtl::Context last_context{};

}  // namespace

ExceptionPointers describe_exception(const TrapFrame& f, std::uint32_t code,
                                     std::array<std::uint64_t, 2> information) {
    constexpr std::uint32_t access_violation = 0xC000'0005;
    last_record = {.code = code,
                   .address = f.rip,
                   .parameter_count = code == access_violation ? 2U : 0U,
                   .information = {information[0], information[1]}};
    last_context = {};
    last_context.flags = 0x10'0003;  // AMD64, control, integer
    last_context.cs = static_cast<std::uint16_t>(f.cs);
    last_context.ss = static_cast<std::uint16_t>(f.ss);
    last_context.eflags = static_cast<std::uint32_t>(f.rflags);
    last_context.general = {f.rax, f.rcx, f.rdx, f.rbx, f.rsp, f.rbp, f.rsi, f.rdi,
                            f.r8,  f.r9,  f.r10, f.r11, f.r12, f.r13, f.r14, f.r15};
    last_context.rip = f.rip;
    return {std::bit_cast<std::uint64_t>(&last_record),
            std::bit_cast<std::uint64_t>(&last_context)};
}

}  // namespace hvp::lab::ke
