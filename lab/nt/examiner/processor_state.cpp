// Before and after: registers, the content of GDT and IDT, the memory types. Each processor
// compares its own, because no processor can read another one's registers.
#include "lab/nt/examiner/processor_state.hpp"

#include <array>
#include <bit>
#include <cstdint>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/examiner/difference.hpp"
#include "lab/nt/examiner/state_items.hpp"
#include "lab/nt/hal/probe.hpp"
#include "lab/nt/ke/processor.hpp"
#include "lab/nt/rtl/text.hpp"

namespace hvp::lab::examiner {
namespace {

using Value = std::optional<std::uint64_t>;

constexpr std::size_t most_items = 64;
constexpr std::size_t most_memory_types = 32;
constexpr std::size_t idt_quadwords = sizeof(ke::Idt) / sizeof(std::uint64_t);

struct Snapshot {
    std::array<Value, most_items> tables{};
    std::array<Value, most_items> registers{};
    std::array<Value, most_memory_types> memory_types{};
    ke::Gdt gdt{};
    std::array<std::uint64_t, idt_quadwords> idt{};
};

constinit std::array<Snapshot, ke::most_processors> snapshots{};

/// This processor's state before.
Snapshot& before() {
    return snapshots[ke::current_processor_number()];
}

std::uint64_t* idt_content() {
    return std::bit_cast<std::uint64_t*>(&ke::current_processor().idt);
}

Value read_memory_type(std::uint32_t msr) {
    std::uint64_t value{};
    return hal::probe_rdmsr(msr, &value) ? Value{value} : std::nullopt;
}

/// FEATURE_CONTROL cannot be unlocked again: locking it, with VMX on, is what a driver must do if
/// firmware left it open.  [SDM 3C 23.7 "Enabling and Entering VMX Operation"]
bool is_expected(const StateItem& item, std::uint64_t old, std::uint64_t now) {
    constexpr std::uint64_t locked = 1;
    constexpr std::uint64_t locked_with_vmx = 5;
    return item.name == "FEATURE_CONTROL" && (old & locked) == 0 &&
           (now & locked_with_vmx) == locked_with_vmx;
}

void compare(std::span<const StateItem> items, const std::array<Value, most_items>& old) {
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto& item = items[i];
        const Value was = old[i];
        const Value now = item.read();
        if (!was || !now || *now == *was) {
            continue;
        }
        if (is_expected(item, *was, *now)) {
            report_expected_change(item.name, *was, *now);
            before().registers[i] = now;  // the next load starts from here
            continue;
        }
        item.restore(*was);
        report_difference(item.name, *was, *now);
    }
}

/// A slot of the GDT is named by its selector, a gate of the IDT by its vector.
void compare_content(std::string_view table, std::uint64_t (*name_of_quadword)(std::size_t),
                     std::uint64_t* now, std::span<const std::uint64_t> old) {
    for (std::size_t i = 0; i < old.size(); ++i) {
        if (now[i] == old[i]) {
            continue;
        }
        const std::uint64_t changed = now[i];
        now[i] = old[i];
        rtl::Text<32> item{table};
        item.put(" ").hex(name_of_quadword(i));
        report_difference(item.view(), old[i], changed);
    }
}

void compare_memory_types() {
    for (std::size_t i = 0; const auto msr = memory_type_msr(i); ++i) {
        const Value old = before().memory_types[i];
        const Value now = read_memory_type(*msr);
        if (old && now && *old != *now) {
            (void)hal::probe_wrmsr(*msr, *old);
            rtl::Text<32> item{"MTRR "};
            item.hex(*msr);
            report_difference(item.view(), *old, *now);
        }
    }
}

void take_snapshot_here(void* /*unused*/) {
    Snapshot& now = before();
    for (std::size_t i = 0; i < table_items().size(); ++i) {
        now.tables[i] = table_items()[i].read();
    }
    for (std::size_t i = 0; i < register_items().size(); ++i) {
        now.registers[i] = register_items()[i].read();
    }
    for (std::size_t i = 0; const auto msr = memory_type_msr(i); ++i) {
        now.memory_types[i] = read_memory_type(*msr);
    }
    now.gdt = ke::current_processor().gdt;
    for (std::size_t i = 0; i < idt_quadwords; ++i) {
        now.idt[i] = idt_content()[i];
    }
}

void compare_and_restore_here(void* /*unused*/) {
    compare(table_items(), before().tables);
    compare_content(
        "GDT", [](std::size_t i) -> std::uint64_t { return i * 8; },
        ke::current_processor().gdt.data(), before().gdt);
    compare_content(
        "IDT", [](std::size_t i) -> std::uint64_t { return i / 2; }, idt_content(), before().idt);
    compare(register_items(), before().registers);
    compare_memory_types();
}

}  // namespace

void take_snapshots() {
    ke::run_on_every_processor(take_snapshot_here, nullptr);
}

void compare_and_restore() {
    ke::run_on_every_processor(compare_and_restore_here, nullptr);
}

}  // namespace hvp::lab::examiner
