#include "tests/drivers/low_modes.hpp"

#include <algorithm>
#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "tests/drivers/event_snippets.hpp"
#include "tests/drivers/snippet_runner.hpp"

extern "C" {
extern const std::byte hvp_low_begin[];  // low_modes.S
extern const std::byte hvp_low_end[];
extern const std::byte hvp_low_stubs_real[];
extern const std::byte hvp_low_stubs_virtual[];
}

namespace hvp::tests {
namespace {

using Page = std::array<std::uint8_t, arch::page_bytes>;

/// What LGDT and LIDT load outside 64-bit mode.
struct [[gnu::packed]] TableRegister32 {
    std::uint16_t limit_bytes;
    std::uint32_t base;
};

/// The 32-bit TSS, of which only the stack for CPL 0 is used.
/// [SDM 3A 7.2.1 "Task-State Segment (TSS)"]
struct TaskStateSegment32 {
    std::uint32_t link;
    std::uint32_t esp0;
    std::uint32_t ss0;
    std::array<std::uint32_t, 22> unused;
    std::uint32_t io_map;
};
static_assert(sizeof(TaskStateSegment32) == 0x68);

constexpr std::size_t slots = 0x15;
constexpr std::size_t gates = 256;

/// low_modes.S knows the offsets up to the IDTRs.
struct LowData {
    std::uint64_t runner_rsp;
    std::uint32_t base;
    std::uint16_t real_segment;
    std::uint16_t runner_ss;
    std::uint32_t efer;
    std::uint32_t is_virtual;
    std::uint32_t start_ip;
    std::uint16_t start_cs;
    std::uint16_t start_ss;
    std::uint32_t start_sp;
    std::uint32_t start_flags;
    std::uint32_t start_eax;
    std::uint32_t start_ecx;
    std::uint32_t vector;
    std::uint32_t handler_sp;
    alignas(8) arch::TableRegister gdtr;
    alignas(8) TableRegister32 idtr_real;
    alignas(8) TableRegister32 idtr_virtual;
    alignas(8) std::array<std::uint64_t, slots> gdt;
    std::array<std::uint32_t, gates> real_vectors;
    std::array<std::uint64_t, gates> idt;
    TaskStateSegment32 task;
};
static_assert(offsetof(LowData, start_ip) == 24 && offsetof(LowData, start_ecx) == 44);
static_assert(offsetof(LowData, gdtr) == 56 && offsetof(LowData, idtr_virtual) == 80);
static_assert(sizeof(LowData) <= arch::page_bytes);

// The offsets of what low_modes.S calls by number.
constexpr std::uint32_t snippet_offset = 0x2000;
constexpr std::uint32_t snippet_stack = 0x3400;
constexpr std::uint32_t handler_stack = 0x4000;  ///< of CPL 0
constexpr std::uint16_t code_32 = 0x80;
constexpr std::uint16_t data_32 = 0x90;

/// A descriptor of a segment of 64 KBytes that begins at `base`.
constexpr std::uint64_t descriptor(std::uint32_t base, std::uint64_t type, bool is_32_bit) {
    constexpr std::uint64_t limit = 0xFFFF;
    return limit | std::uint64_t{base} << 16 | type << 40 | (is_32_bit ? 1ULL << 54 : 0);
}

constexpr std::uint64_t interrupt_gate_32(std::uint32_t offset, std::uint64_t privilege_level) {
    constexpr std::uint64_t present_interrupt_gate = 0x8E;
    return offset | std::uint64_t{code_32} << 16 |
           (present_interrupt_gate | privilege_level << 5) << 40;
}

/// The stub of a vector, as an offset in the block.
std::uint32_t stub(const std::byte* stubs, std::size_t number) {
    constexpr std::size_t stub_bytes = 8;
    return static_cast<std::uint32_t>(stubs - hvp_low_begin) +
           static_cast<std::uint32_t>(number * stub_bytes);
}

}  // namespace

struct LowModes::Block {
    Page code;
    alignas(arch::page_bytes) LowData data;
    alignas(arch::page_bytes) Page snippet;
    Page stacks;
};

namespace {

void fill_gdt(LowData& low, const arch::ProcessorState& windows) {
    constexpr std::uint64_t code = 0x9B;
    constexpr std::uint64_t writable = 0x93;
    constexpr std::uint64_t available_task = 0x89;
    const auto theirs = windows.gdt();
    std::copy_n(theirs.begin(), std::min(theirs.size(), slots - 5), low.gdt.begin());
    low.gdt[0x10] = descriptor(low.base, code, true);
    low.gdt[0x11] = descriptor(low.base, code, false);
    low.gdt[0x12] = descriptor(low.base, writable, true);
    low.gdt[0x13] = descriptor(low.base, writable, false);
    const auto task =
        static_cast<std::uint32_t>(low.base + arch::page_bytes + offsetof(LowData, task));
    low.gdt[0x14] = descriptor(task, available_task, false);
}

void fill_tables(LowData& low, const arch::ProcessorState& windows) {
    fill_gdt(low, windows);
    low.task.esp0 = handler_stack;
    low.task.ss0 = data_32;
    low.task.io_map = sizeof(TaskStateSegment32) << 16;
    constexpr std::size_t exceptions = 32;
    constexpr std::uint64_t anybody = 3;
    const auto set = [&](std::size_t gate, std::size_t number, std::uint64_t privilege_level) {
        low.real_vectors[gate] =
            std::uint32_t{low.real_segment} << 16 | stub(hvp_low_stubs_real, number);
        low.idt[gate] = interrupt_gate_32(stub(hvp_low_stubs_virtual, number), privilege_level);
    };
    for (std::size_t vector = 0; vector < exceptions; ++vector) {
        set(vector, vector, anybody);
    }
    set(end_vector, exceptions, anybody);
    const std::uint64_t start = low.base + arch::page_bytes;
    const auto at = [&](std::size_t offset) { return static_cast<std::uint32_t>(start + offset); };
    low.gdtr = {.limit_bytes = sizeof low.gdt - 1, .base = at(offsetof(LowData, gdt))};
    low.idtr_real = {.limit_bytes = sizeof low.real_vectors - 1,
                     .base = at(offsetof(LowData, real_vectors))};
    low.idtr_virtual = {.limit_bytes = sizeof low.idt - 1, .base = at(offsetof(LowData, idt))};
}

/// What an exception pushes: an error code, if it has one, below the rest.
/// [SDM 3A 20.1.4 "Interrupt and Exception Handling"],
/// [SDM 3A 20.3.1.1 "Handling an Interrupt or Exception Through a Protected-Mode Trap or Interrupt Gate"]
LowFound read_stack(const LowData& low, const Page& stacks, LowMode mode) {
    constexpr std::uint32_t stacks_offset = 0x3000;
    const bool is_real = mode == LowMode::real_address;
    const std::uint32_t size = is_real ? 2 : 4;
    const std::uint32_t usual = is_real ? 3 * size : 9 * size;
    LowFound found{};
    found.vector = low.vector;
    found.bytes = (is_real ? snippet_stack : handler_stack) - low.handler_sp;
    std::uint32_t at = low.handler_sp - stacks_offset;
    const auto next = [&] {
        std::uint32_t value = 0;
        for (std::uint32_t i = 0; i < size && at < stacks.size(); ++i) {
            value |= std::uint32_t{stacks[at++]} << 8 * i;
        }
        return value;
    };
    found.has_error_code = found.bytes == usual + size;
    if (found.has_error_code) {
        found.error_code = next();
    }
    found.ip = next();
    found.cs = next();
    found.flags = next();
    if (!is_real) {
        found.sp = next();
        found.ss = next();
        std::generate(found.data.begin(), found.data.end(), next);
    }
    return found;
}

}  // namespace

std::optional<LowModes> LowModes::take() {
    constexpr PHYSICAL_ADDRESS from_0{.QuadPart = 0};
    constexpr PHYSICAL_ADDRESS below_1_mib{.QuadPart = 0xF'FFFF};
    auto* const block = static_cast<Block*>(MmAllocateContiguousMemorySpecifyCache(
        sizeof(Block), from_0, below_1_mib, from_0, MmCached));
    if (block == nullptr) {
        return std::nullopt;
    }
    return LowModes{block, static_cast<std::uint32_t>(MmGetPhysicalAddress(block).QuadPart)};
}

LowModes::~LowModes() {
    if (block_ != nullptr) {
        MmFreeContiguousMemory(block_);
    }
}

LowFound LowModes::run(LowMode mode, const LowStart& start,
                       const arch::ProcessorState& windows) const {
    __builtin_memset(block_, 0, sizeof *block_);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(hvp_low_begin), hvp_low_end - hvp_low_begin,
                block_->code.begin());
    // The snippet's code begins at a segment's start, or ends where one of 64 KBytes ends.
    constexpr std::uint32_t paragraph = 16;
    const auto bytes = static_cast<std::uint32_t>(start.code.size());
    const std::uint32_t place = start.at_end_of_segment ? paragraph - bytes : 0;
    const auto behind =
        std::copy(start.code.begin(), start.code.end(), block_->snippet.begin() + place);
    *behind = 0xCD;
    *(behind + 1) = end_vector;
    const std::uint32_t segment_base =
        base_ + snippet_offset + (start.at_end_of_segment ? paragraph - 0x1'0000 : 0);
    constexpr std::uint32_t virtual_mode_and_iopl_3 = 0x2'3000;
    const bool is_virtual = mode == LowMode::virtual_8086;
    LowData& low = block_->data;
    low.base = base_;
    low.real_segment = static_cast<std::uint16_t>(base_ / paragraph);
    low.is_virtual = is_virtual ? 1 : 0;
    low.start_ip = start.at_end_of_segment ? 0x1'0000 - bytes : 0;
    low.start_cs = static_cast<std::uint16_t>(segment_base / paragraph);
    low.start_ss = low.real_segment;
    low.start_sp = snippet_stack;
    low.start_flags = start.flags | (is_virtual ? virtual_mode_and_iopl_3 : 0);
    low.start_eax = start.eax;
    low.start_ecx = start.ecx;
    fill_tables(low, windows);
    reinterpret_cast<void (*)(std::uint64_t)>(std::uint64_t{base_})(base_);
    return read_stack(low, block_->stacks, mode);
}

}  // namespace hvp::tests
