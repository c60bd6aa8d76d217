// Converts between TrapFrame and CONTEXT.
#include "lab/nt/ke/exception_record.hpp"

#include <bit>

namespace hvp::lab::ke {
namespace {

constinit rtl::ExceptionRecord last_record{};
constinit rtl::Context last_context{};

}  // namespace

rtl::ExceptionRecord record_of(const TrapFrame& frame, const Exception& exception) {
    return {.code = exception.code,
            .address = frame.rip,
            .parameter_count = exception.parameter_count,
            .information = {exception.information[0], exception.information[1]}};
}

void write_to(rtl::Context& context, const TrapFrame& f) {
    context.cs = static_cast<std::uint16_t>(f.cs);
    context.ss = static_cast<std::uint16_t>(f.ss);
    context.eflags = static_cast<std::uint32_t>(f.rflags);
    context.general = {f.rax, f.rcx, f.rdx, f.rbx, f.rsp, f.rbp, f.rsi, f.rdi,
                       f.r8,  f.r9,  f.r10, f.r11, f.r12, f.r13, f.r14, f.r15};
    context.rip = f.rip;
}

TrapFrame frame_of(const rtl::Context& context) {
    const auto& r = context.general;
    return {.r15 = r[15],
            .r14 = r[14],
            .r13 = r[13],
            .r12 = r[12],
            .r11 = r[11],
            .r10 = r[10],
            .r9 = r[9],
            .r8 = r[8],
            .rdi = r[7],
            .rsi = r[6],
            .rbp = r[5],
            .rbx = r[3],
            .rdx = r[2],
            .rcx = r[1],
            .rax = r[0],
            .vector = 0,
            .error_code = 0,
            .rip = context.rip,
            .cs = context.cs,
            .rflags = context.eflags,
            .rsp = r[4],
            .ss = context.ss};
}

ExceptionPointers keep(const rtl::ExceptionRecord& record, const TrapFrame& frame) {
    last_record = record;
    last_context = {};
    last_context.flags = 0x10'0003;  // AMD64, control, integer
    write_to(last_context, frame);
    return {std::bit_cast<std::uint64_t>(&last_record),
            std::bit_cast<std::uint64_t>(&last_context)};
}

}  // namespace hvp::lab::ke
