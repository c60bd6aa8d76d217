#include "lab/machine/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "lab/boot/boot_block.hpp"

namespace hvp::lab {
namespace {

struct PlainMsr {
    unsigned address;
    std::string_view name;
};

// Drivers (and the lab's kernel) may use these on every processor with VT-x, but Bochs 2.7 lacks
// them. They become plain registers: what is written is read back, nothing else happens.
constexpr auto plain_msrs = std::to_array<PlainMsr>({
    {0x0E7, "IA32_MPERF"},
    {0x0E8, "IA32_APERF"},
    {0x1A0, "IA32_MISC_ENABLE"},
    {0x1D9, "IA32_DEBUGCTL"},
    {0x30B, "IA32_FIXED_CTR2"},
    {0x38D, "IA32_FIXED_CTR_CTRL"},
    {0x38F, "IA32_PERF_GLOBAL_CTRL"},
    {0x3F1, "IA32_PEBS_ENABLE"},
});

// The emulator keeps at most this much of the guest's RAM in its own; the rest lies in a file.
constexpr unsigned most_host_mib = 2048;

}  // namespace

std::string bochsrc(const MachineOptions& machine) {
    // The emulator's own clock must not look at the host's: `sync=none`, and a fixed date. (The
    // numbers 1 and 2 are not dates but mean "the host's local time" and "the host's UTC".)
    // `ignore_bad_msrs=0`: unknown MSRs raise #GP, as on a real processor.
    // `magic_break`: the kernel stops the machine by `xchg bx, bx` when its ticks are used up.
    // No sound at all (the line `speaker: enabled=0` would load it): its thread sometimes crashes
    // the emulator while it exits. `reset_on_triple_fault=0` and `panic: action=fatal`: a triple
    // fault ends the run.
    std::string text = fmt::format(
        "config_interface: textconfig\n"
        "display_library: term\n"
        "memory: guest={}, host={}\n"
        "romimage: file={}\n"
        "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n"
        "vga: extension=none\n"
        "plugin_ctrl: speaker=0, gameport=0, parallel=0, serial=0, biosdev=0, iodebug=0\n"
        "cpu: model={}, count={}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=0,"
        " msrs=\"{}\"\n"
        "clock: sync=none, time0=946684800\n"
        "port_e9_hack: enabled=1\n"
        "magic_break: enabled=1\n"
        "log: /dev/fd/{}\n"
        "panic: action=fatal\n"
        "error: action=report\n"
        "info: action=report\n"
        "mouse: enabled=0\n",
        machine.memory_mib, std::min(machine.memory_mib, most_host_mib), machine.rom_file,
        machine.model, machine.processors, machine.msrs_file, log_descriptor);
    if (!machine.ram_image_file.empty()) {
        text += fmt::format("optramimage1: file={}, address={:#x}\n", machine.ram_image_file,
                            boot_block_address);
    }
    // The processors' own log, and no other device's.
    text += "debug: action=ignore";
    for (unsigned cpu = 0; machine.processor_log && cpu < machine.processors; ++cpu) {
        text += fmt::format(", cpu{}=report", cpu);
    }
    return text + "\n";
}

std::string msr_list() {
    // address, type, reset value, reserved bits, ignored bits; each value as two halves
    std::string text;
    for (const PlainMsr& msr : plain_msrs) {
        text += fmt::format("# {}\n{:#x} 0 00000000 00000000 00000000 00000000 00000000 00000000\n",
                            msr.name, msr.address);
    }
    return text;
}

std::string debugger_script(const MachineOptions& machine) {
    return fmt::format("sba {}\nc\n", machine.timeout_ticks);
}

}  // namespace hvp::lab
