#include "stages/ept-identity/guest.hpp"

#include <algorithm>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/arch/processor_state.hpp"
#include "hypervisor/vcpu/departure.hpp"

namespace hvp::identity_stage {
namespace {

using stages::sum_of_page;

/// Asks the VMM, if there is one: it may have departed at any moment, and VMCALL raises #UD then.
/// With interrupts off no handler runs, in which that could happen, between the question and
/// VMCALL.
///
/// Returns  whether the VMM has done it
bool ask(const GuestData& data, Call call) {
    const arch::InterruptsOff interrupts_off;
    return !*data.departed && stages::ask(call);
}

/// Asks the VMM to end the guest. Where there is none any more, the guest goes back by itself.
[[noreturn]] void stop(const GuestData& data) {
    arch::cli();
    if (*data.departed) {
        vmx::hvp_end_departed_guest(data.frame);
    }
    stages::stop();
}

/// Interrupts are on, and the clock's handler is Windows'. It runs in the guest.
void wait_for_the_clock(GuestData& data) {
    constexpr std::uint64_t patience = 10'000'000;
    const std::uint32_t before = *data.clock;
    for (std::uint64_t i = 0; i < patience && *data.clock == before; ++i) {
        arch::pause();
    }
    data.found.clock_ticked = *data.clock != before ? 1 : 0;
}

void look_at_split_page(GuestData& data) {
    Findings& found = data.found;
    found.sum_before = sum_of_page(data.target_page);
    found.call_before = data.target();
    if (!ask(data, Call::install_hook)) {
        return;
    }
    found.accepted = 1;
    for (std::size_t i = 0; i < found.calls.size(); ++i) {
        found.sums[i] = sum_of_page(data.target_page);
        found.calls[i] = data.target();
    }
    found.self_read = data.self_reader();
    const std::uint64_t before = data.target_page[written_word];
    // Another linear address, the same guest-physical one: which frame is written, the EPT says.
    data.target_alias[written_word] = ~before;
    found.written_read = data.target_page[written_word] == ~before ? 1 : 0;
    found.call_written = data.target();
    data.target_alias[written_word] = before;
    (void)ask(data, Call::remove_hook);
    found.sum_after = sum_of_page(data.target_page);
    found.call_after = data.target();
}

void touch_watched(GuestData& data) {
    if (!ask(data, Call::watch)) {
        return;
    }
    volatile std::uint64_t* const page = data.watched;
    (void)page[0];
    page[words_of_page] = 1;
    page[3 * words_of_page] = page[3 * words_of_page] + 1;
    (void)ask(data, Call::end_watch);
}

void look_at_vmm_memory(GuestData& data) {
    for (std::uint64_t i = 0; i < data.hidden_words; ++i) {
        data.found.hidden_not_zero += data.hidden[i] != 0 ? 1 : 0;
        ++data.found.hidden_words;
    }
}

/// Makes a range write-combining, as a driver of a display would, looks whether the registers have
/// it, and undoes it. A system that means it stops all processors and empties their caches around
/// this; nothing uses the range here.
/// [SDM 3A 11.11.7.2 "MemTypeSet() Function"]
void change_an_mtrr(GuestData& data) {
    const auto base = static_cast<arch::Msr>(data.mtrr);
    const auto mask = static_cast<arch::Msr>(data.mtrr + 1);
    constexpr std::uint64_t valid = 1U << 11;
    const arch::InterruptsOff interrupts_off;
    if (*data.departed) {
        return;  // without a VMM these would be the processor's own
    }
    const std::uint64_t old_mask = arch::rdmsr(mask);
    if ((old_mask & valid) != 0) {
        return;
    }
    data.found.mtrr_was_free = 1;
    const std::uint64_t old_base = arch::rdmsr(base);
    arch::wrmsr(base, data.mtrr_base);
    arch::wrmsr(mask, data.mtrr_mask);
    const bool same = arch::rdmsr(base) == data.mtrr_base && arch::rdmsr(mask) == data.mtrr_mask;
    data.found.mtrr_reads_back = same ? 1 : 0;
    arch::wrmsr(mask, old_mask);
    arch::wrmsr(base, old_base);
}

}  // namespace

void explore(void* guest_data) {
    GuestData& data = *static_cast<GuestData*>(guest_data);
    arch::sti();
    wait_for_the_clock(data);
    look_at_split_page(data);
    touch_watched(data);
    look_at_vmm_memory(data);
    change_an_mtrr(data);
    data.found.finished = 1;
    stop(data);
}

[[gnu::section("TARGET")]] std::uint64_t target() {
    return answer_of_target;
}

alignas(arch::page_bytes) constinit const std::array<std::uint8_t, arch::page_bytes> code_page =
    [] {
        std::array<std::uint8_t, arch::page_bytes> page{};
        page.fill(0xCC);  // INT3
        // mov eax, 0xBB; ret
        constexpr std::array<std::uint8_t, 6> other{0xB8, answer_of_other, 0, 0, 0, 0xC3};
        std::ranges::copy(other, page.begin());
        // mov rax, [rip - 71], which is the start of the page, whatever its address is; ret
        constexpr std::array<std::uint8_t, 8> self_reader{0x48, 0x8B, 0x05, 0xB9,
                                                          0xFF, 0xFF, 0xFF, 0xC3};
        std::ranges::copy(self_reader, page.begin() + self_reader_offset);
        return page;
    }();

}  // namespace hvp::identity_stage
