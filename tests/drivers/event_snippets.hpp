// Snippets of code that fault, trap and interrupt, generated from a seed: for vmm_events.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "tests/drivers/random.hpp"

namespace hvp::tests {

/// Code that is only read and data that is only written, for page faults.
extern "C" void hvp_event_stubs();

enum class Kind : std::uint8_t {
    fault,            ///< without error code; VMX instructions among them
    with_error_code,  ///< #GP, #SS, #NP
    page_fault,
    trap,             ///< INT3, INT n, INT1
    single_step,      ///< over instructions that exit, too
    code_breakpoint,  ///< the same
    data_breakpoint,  ///< also behind MOV SS
    no_stack,         ///< the stack page is absent while an event is delivered
    no_gate,          ///< the event's gate is not present
    nested,           ///< the handler raises one, too
    ring_3,           ///< 64-bit code at CPL 3
    compatibility,    ///< 32-bit code at CPL 3
    vmx_instruction,  ///< each of the thirteen in each of the modes
};
inline constexpr std::size_t kinds = 13;

/// CPL 0 in 64-bit mode, CPL 3 with code of 64 and of 32 bits, CPL 0 with code of 32 bits.
enum class Mode : std::uint8_t { kernel, user_64, user_32, kernel_32 };
inline constexpr std::size_t modes = 4;
inline constexpr std::size_t snippets_of_each = 120;
inline constexpr std::size_t snippets = kinds * snippets_of_each;

inline constexpr std::uint64_t absent = 0x0000'6000'0000'0000;
inline constexpr std::uint64_t non_canonical = 0x8000'0000'0000'0000;
inline constexpr std::uint64_t always_one = 2;
inline constexpr std::uint64_t trap_flag = 0x100;

struct Snippet {
    Kind kind;
    std::array<std::uint8_t, 64> code;
    std::size_t bytes;
    std::size_t event_at;  ///< offset of the instruction that matters
    std::uint64_t rflags;
    std::uint64_t rax;
    std::uint64_t rbp;
    bool stack_is_absent;
    bool page_fault_has_stack;  ///< of its own
    int missing_gate;           ///< -1: none
    bool handler_faults;
    std::uint64_t dr7;
    Mode mode;
};

/// What snippets write to.
alignas(16) inline constinit std::array<std::uint64_t, 64> data{};

inline void put(Snippet& snippet, std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) {
        snippet.code[snippet.bytes++] = byte;
    }
}
inline void put(Snippet& snippet, std::initializer_list<std::uint8_t> bytes) {
    put(snippet, std::span{bytes.begin(), bytes.size()});
}

/// Up to three instructions that do nothing worth telling.
inline void put_filler(Snippet& snippet, Random& random) {
    for (std::uint64_t i = random.below(4); i != 0; --i) {
        switch (random.below(3)) {
            case 0:
                put(snippet, {0x90});
                break;
            case 1:
                put(snippet, {0x48, 0xFF, 0xC2});  // inc rdx
                break;
            default:
                put(snippet, {0x4D, 0x31, 0xC0});  // xor r8, r8
                break;
        }
    }
}

struct VmxCode {
    std::string_view name;
    std::size_t bytes;
    std::array<std::uint8_t, 5> code;
};

/// The same bytes in each mode. The memory operands lie where nothing is: that must not be noticed.
inline constexpr std::array<VmxCode, 13> vmx_code{{
    {"VMCALL", 3, {0x0F, 0x01, 0xC1}},
    {"VMCLEAR", 4, {0x66, 0x0F, 0xC7, 0x30}},
    {"VMFUNC", 3, {0x0F, 0x01, 0xD4}},
    {"VMLAUNCH", 3, {0x0F, 0x01, 0xC2}},
    {"VMPTRLD", 3, {0x0F, 0xC7, 0x30}},
    {"VMPTRST", 3, {0x0F, 0xC7, 0x38}},
    {"VMREAD", 3, {0x0F, 0x78, 0xC1}},
    {"VMRESUME", 3, {0x0F, 0x01, 0xC3}},
    {"VMWRITE", 3, {0x0F, 0x79, 0xC1}},
    {"VMXOFF", 3, {0x0F, 0x01, 0xC4}},
    {"VMXON", 4, {0xF3, 0x0F, 0xC7, 0x30}},
    {"INVEPT", 5, {0x66, 0x0F, 0x38, 0x80, 0x08}},
    {"INVVPID", 5, {0x66, 0x0F, 0x38, 0x81, 0x08}},
}};

inline void put_vmx_instruction(Snippet& snippet, std::size_t which) {
    const VmxCode& instruction = vmx_code[which % vmx_code.size()];
    put(snippet, std::span{instruction.code}.first(instruction.bytes));
    snippet.mode = static_cast<Mode>(which / vmx_code.size() % modes);
}

inline void put_fault(Snippet& snippet, Random& random) {
    switch (random.below(5)) {
        case 0:
            return put(snippet, {0x0F, 0x0B});  // ud2
        case 1:
            return put(snippet, {0x48, 0xF7, 0xF1});  // div rcx, which is 0
        case 2:
            return put(snippet, {0xF0, 0x90});  // lock nop
        case 3:
            return put(snippet, {0x31, 0xC0, 0x0F, 0x37});  // getsec: #UD without CR4.SMXE
        default:
            return put_vmx_instruction(snippet, random.below(vmx_code.size()));
    }
}

inline void put_fault_with_error_code(Snippet& snippet, Random& random) {
    switch (random.below(5)) {
        case 0:
            snippet.rax = non_canonical;
            return put(snippet, {0x48, 0x8B, 0x10});  // mov rdx, [rax]
        case 1:
            snippet.rbp = non_canonical;
            return put(snippet, {0x48, 0x8B, 0x55, 0x00});  // mov rdx, [rbp]: #SS
        case 2:
            snippet.rax = 0xFFF8;
            return put(snippet, {0x8E, 0xD8});  // mov ds, eax: beyond the GDT
        case 3:
            return put(snippet, {0xB9, 0x34, 0x12, 0x00, 0x55, 0x0F, 0x32});  // rdmsr 55001234h
        default:
            snippet.missing_gate = 0x70;
            return put(snippet, {0xCD, 0x70});  // #NP
    }
}

inline void put_page_fault(Snippet& snippet, Random& random) {
    snippet.rax = absent + (random.below(1U << 20) << 3);
    switch (random.below(4)) {
        case 0:
            return put(snippet, {0x48, 0x8B, 0x10});  // mov rdx, [rax]
        case 1:
            return put(snippet, {0x48, 0x89, 0x10});  // mov [rax], rdx
        case 2:
            snippet.rax =
                reinterpret_cast<std::uint64_t>(&hvp_event_stubs);  // code cannot be written
            return put(snippet, {0x48, 0x89, 0x10});
        default:
            snippet.rax = reinterpret_cast<std::uint64_t>(data.data());  // data cannot be executed
            return put(snippet, {0xFF, 0xE0});
    }
}

inline void put_trap(Snippet& snippet, Random& random) {
    switch (random.below(3)) {
        case 0:
            return put(snippet, {0xCC});
        case 1:
            return put(snippet, {0xF1});
        default:
            return put(snippet, {0xCD, static_cast<std::uint8_t>(0x20 + random.below(0x40))});
    }
}

/// Half of them exit.
inline void put_harmless(Snippet& snippet, Random& random) {
    switch (random.below(6)) {
        case 0:
            return put(snippet, {0x31, 0xC0, 0x0F, 0xA2, 0x31, 0xC9});  // cpuid
        case 1:
            return put(snippet, {0xB9, 0x3A, 0x00, 0x00, 0x00, 0x0F, 0x32});  // rdmsr 3Ah
        case 2:
            return put(snippet, {0x0F, 0x20, 0xD8});  // mov rax, cr3
        case 3:
            return put(snippet, {0x9C, 0x5A});  // pushfq; pop rdx
        default:
            return put_filler(snippet, random);
    }
}

/// What both kinds of code at CPL 3 can execute: the bytes mean the same.
inline void put_user_event(Snippet& snippet, Random& random) {
    constexpr std::uint32_t kernel_or_absent = 0x7000'0000;
    snippet.rax = kernel_or_absent + (random.below(1U << 20) << 3);
    switch (random.below(13)) {
        case 0:
            return put(snippet, {0xF4});  // hlt: #GP
        case 1:
            return put(snippet, {0xFA});  // cli: #GP
        case 2:
            return put(snippet, {0x0F, 0x32});  // rdmsr: #GP
        case 3:
            return put(snippet, {0xCD, 0x71});  // a gate for CPL 0: #GP
        case 4:
            return put(snippet, {0x8B, 0x10});  // mov edx, [rax]
        case 5:
            return put(snippet, {0x89, 0x10});  // mov [rax], edx
        case 6:
            return put(snippet, {0xFF, 0xE0});  // jmp rax
        case 7:
            snippet.rflags |= trap_flag;
            return put(snippet, {0x31, 0xC0, 0x0F, 0xA2});  // cpuid
        case 8:
            return put(snippet, {0x0F, 0x01, 0xC4});  // vmxoff
        case 9:
            return put(snippet, {0x0F, 0x01, 0xC1});  // vmcall
        case 10:
            return put(snippet, {0xF7, 0xF1});  // div ecx
        case 11:
            return put(snippet, {0x0F, 0x20, 0xD8});  // mov from CR3: #GP
        default:
            return put_trap(snippet, random);
    }
}

inline void put_compatibility_event(Snippet& snippet, Random& random) {
    constexpr std::uint64_t overflow_flag = 0x800;
    switch (random.below(4)) {
        case 0:
            snippet.rflags |= overflow_flag;
            return put(snippet, {0xCE});  // into
        case 1:
            // push 7FFFFFFFh; bound edx, [esp]; pop ecx
            return put(snippet, {0x68, 0xFF, 0xFF, 0xFF, 0x7F, 0x62, 0x14, 0x24, 0x59});
        default:
            return put_user_event(snippet, random);
    }
}

/// [SDM 3A 17.2.4 "Debug Control Register (DR7)"]: breakpoint 0, all, for execution.
inline constexpr std::uint64_t on_execution = 0x402;
/// The same, for writing of eight bytes.
inline constexpr std::uint64_t on_write = 0x402 | 9ULL << 16;

inline void put_event(Snippet& snippet, std::size_t number, Random& random) {
    switch (snippet.kind) {
        case Kind::fault:
            return put_fault(snippet, random);
        case Kind::with_error_code:
            return put_fault_with_error_code(snippet, random);
        case Kind::page_fault:
            return put_page_fault(snippet, random);
        case Kind::trap:
            return put_trap(snippet, random);
        case Kind::single_step:
            snippet.rflags |= trap_flag;
            return put_harmless(snippet, random);
        case Kind::code_breakpoint:
            snippet.dr7 = on_execution;
            return put_harmless(snippet, random);
        case Kind::data_breakpoint:
            snippet.dr7 = on_write;
            put(snippet, {0x48, 0x89, 0x13});  // mov [rbx], rdx
            return put_harmless(snippet, random);
        case Kind::no_stack:
            snippet.stack_is_absent = true;
            snippet.page_fault_has_stack = random.below(2) != 0;
            switch (random.below(3)) {
                case 0:
                    return put_fault(snippet, random);
                case 1:
                    return put_fault_with_error_code(snippet, random);
                default:
                    return put_trap(snippet, random);
            }
        case Kind::no_gate: {
            constexpr std::array<int, 6> gates{0, 3, 6, 11, 13, 14};
            snippet.missing_gate = gates[random.below(gates.size())];
            switch (random.below(3)) {
                case 0:
                    return put_fault(snippet, random);
                case 1:
                    return put_page_fault(snippet, random);
                default:
                    return put_trap(snippet, random);
            }
        }
        case Kind::nested:
            snippet.handler_faults = true;
            return random.below(2) != 0 ? put_fault(snippet, random) : put_trap(snippet, random);
        case Kind::ring_3:
            snippet.mode = Mode::user_64;
            return put_user_event(snippet, random);
        case Kind::compatibility:
            snippet.mode = Mode::user_32;
            return put_compatibility_event(snippet, random);
        case Kind::vmx_instruction:
            return put_vmx_instruction(snippet, number / kinds);
    }
}

inline Snippet generate(std::size_t number, std::uint64_t seed) {
    Random random{seed * 2'654'435'761 + number * 0x9E37'79B9'7F4A'7C15};
    for (unsigned i = 0; i < 8; ++i) {
        static_cast<void>(random());
    }
    Snippet snippet{};
    snippet.kind = static_cast<Kind>(number % kinds);
    snippet.rflags = always_one | (random() & 0x8D5);  // and random status flags
    snippet.missing_gate = -1;
    put_filler(snippet, random);
    snippet.event_at = snippet.bytes;
    put_event(snippet, number, random);
    put_filler(snippet, random);
    return snippet;
}

}  // namespace hvp::tests
