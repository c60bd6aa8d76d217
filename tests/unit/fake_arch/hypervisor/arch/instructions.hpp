// Stands in for the header of the same name on the host: a processor that a test scripts.
//
// Unit tests put this folder first on their include path, so that code which executes privileged
// instructions is compiled as it is and runs in an ordinary process. Only what host-compiled code
// executes is here. Each register is a number in a table; each write is noted in order, because the
// order is often what matters.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/control_registers.hpp"
#include "hypervisor/arch/instruction_types.hpp"
#include "hypervisor/arch/msr.hpp"

namespace hvp::arch {

/// What the instruction does instead of answering.
struct GeneralProtection : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What VMPTRST stores where no VMCS is current.  [SDM 3C 30.3 "VMX Instructions"]
inline constexpr std::uint64_t no_vmcs = ~0ULL;

struct FakeProcessor {
    std::map<std::uint32_t, CpuidResult> cpuid{};  ///< by leaf; all zero where there is none
    std::map<Msr, std::uint64_t> msrs{};           ///< any other MSR raises #GP
    std::map<std::string, std::uint64_t> registers{};
    TableRegister gdtr{};
    TableRegister idtr{};
    bool in_vmx_operation{};
    std::uint64_t time{};
    std::map<std::string, VmxResult> refused{};  ///< VMX instructions, by name, that say no
    std::set<std::string> gp_for{};  ///< instructions that raise #GP whatever they are asked
    std::uint64_t current_vmcs = no_vmcs;
    std::map<std::uint64_t, std::uint64_t> vmcs{};  ///< the fields that this processor has
    VmxResult without_field = VmxResult::fail_valid;
    std::vector<std::string> written{};  ///< names, in order

    std::uint64_t read(const std::string& name) { return registers[name]; }
    void write(const std::string& name, std::uint64_t value) {
        registers[name] = value;
        written.push_back(name);
    }
};

/// The processor that executes the instructions below; a test begins with a new one.
inline FakeProcessor processor;

inline CpuidResult cpuid(std::uint32_t leaf, std::uint32_t = 0) {
    return processor.cpuid[leaf];
}

inline CpuidRegisters cpuid_registers(std::uint32_t leaf, std::uint32_t subleaf) {
    const CpuidResult answer = cpuid(leaf, subleaf);
    return {.rax = answer.eax, .rbx = answer.ebx, .rcx = answer.ecx, .rdx = answer.edx};
}

inline std::uint64_t rdmsr(Msr msr) {
    const auto found = processor.msrs.find(msr);
    if (found == processor.msrs.end()) {
        throw GeneralProtection{"RDMSR of an MSR that this processor does not have"};
    }
    return found->second;
}
inline void wrmsr(Msr msr, std::uint64_t value) {
    static_cast<void>(rdmsr(msr));
    if (msr == Msr::feature_control && (processor.msrs[msr] & 1) != 0) {
        throw GeneralProtection{"WRMSR of IA32_FEATURE_CONTROL, which is locked"};
    }
    processor.msrs[msr] = value;
    processor.written.push_back("MSR " + std::to_string(static_cast<std::uint32_t>(msr)));
}

inline std::optional<std::uint64_t> try_rdmsr(Msr msr) {
    const auto found = processor.msrs.find(msr);
    return found == processor.msrs.end() ? std::nullopt : std::optional{found->second};
}
inline bool try_wrmsr(Msr msr, std::uint64_t value) {
    if (processor.gp_for.contains("WRMSR") || !processor.msrs.contains(msr)) {
        return false;
    }
    wrmsr(msr, value);
    return true;
}
inline bool try_xsetbv(std::uint32_t which, std::uint64_t value) {
    if (processor.gp_for.contains("XSETBV")) {
        return false;
    }
    processor.write("XCR" + std::to_string(which), value);
    return true;
}
inline std::uint64_t read_xcr0() {
    return processor.read("XCR0");
}
inline void write_xcr0(std::uint64_t value) {
    processor.write("XCR0", value);
}
inline void wbinvd() {
    processor.written.emplace_back("WBINVD");
}

inline Flags<Cr0> read_cr0() {
    return Flags<Cr0>{processor.read("CR0")};
}
inline void write_cr0(Flags<Cr0> value) {
    processor.write("CR0", value.raw());
}
inline std::uint64_t read_cr3() {
    return processor.read("CR3");
}
inline void write_cr3(std::uint64_t value) {
    processor.write("CR3", value);
}
inline Flags<Cr4> read_cr4() {
    return Flags<Cr4>{processor.read("CR4")};
}
inline void write_cr4(Flags<Cr4> value) {
    // [SDM 3C 23.8 "Restrictions on VMX Operation"]
    if (processor.in_vmx_operation && !value.has(Cr4::vmx_enable)) {
        throw GeneralProtection{"CR4.VMXE cleared in VMX operation"};
    }
    processor.write("CR4", value.raw());
}
inline std::uint64_t read_cr2() {
    return processor.read("CR2");
}
inline void write_cr2(std::uint64_t value) {
    processor.write("CR2", value);
}
template <int number>
std::uint64_t read_dr() {
    return processor.read("DR" + std::to_string(number));
}
template <int number>
void write_dr(std::uint64_t value) {
    processor.write("DR" + std::to_string(number), value);
}
inline std::uint64_t read_dr7() {
    return processor.read("DR7");
}
inline void write_dr7(std::uint64_t value) {
    processor.write("DR7", value);
}

inline Flags<Rflags> read_rflags() {
    return Flags<Rflags>{processor.read("RFLAGS")};
}
inline void write_rflags(Flags<Rflags> value) {
    processor.write("RFLAGS", value.raw());
}
inline void cli() {
    write_rflags(read_rflags().without(Rflags::interrupt_enable));
}

inline void end_nmi_blocking() {
    processor.write("blocking by NMI", 0);
}

/// What HLT does where no interrupt can end it.
struct HaltedForGood : std::runtime_error {
    using std::runtime_error::runtime_error;
};
inline void hlt() {
    if (!read_rflags().has(Rflags::interrupt_enable)) {
        throw HaltedForGood{"HLT with interrupts off"};
    }
}

inline TableRegister sgdt() {
    return processor.gdtr;
}
inline void lgdt(const TableRegister& table) {
    processor.gdtr = table;
    processor.written.emplace_back("GDTR");
}
inline TableRegister sidt() {
    return processor.idtr;
}
inline void lidt(const TableRegister& table) {
    processor.idtr = table;
    processor.written.emplace_back("IDTR");
}

inline std::uint16_t selector_in(const char* name) {
    return static_cast<std::uint16_t>(processor.read(name));
}
inline std::uint16_t sldt() {
    return selector_in("LDTR");
}
inline void lldt(std::uint16_t selector) {
    processor.write("LDTR", selector);
}
inline std::uint16_t str() {
    return selector_in("TR");
}
/// LTR wants an available TSS, and marks it busy in the GDT that is in use.
/// [SDM 3A 7.2.3 "TSS Descriptor in 64-bit mode"]
inline void ltr(std::uint16_t selector) {
    constexpr std::uint64_t busy = 1ULL << 41;
    const TableRegister gdt = processor.gdtr;
    if (selector + 15U > gdt.limit_bytes) {
        throw GeneralProtection{"LTR of a selector beyond the GDT"};
    }
    std::uint64_t& descriptor = reinterpret_cast<std::uint64_t*>(gdt.base)[selector / 8];
    if ((descriptor & busy) != 0) {
        throw GeneralProtection{"LTR of a TSS that is busy"};
    }
    descriptor |= busy;
    processor.write("TR", selector);
}
inline std::uint16_t read_cs() {
    return selector_in("CS");
}
inline void reload_cs(std::uint16_t selector) {
    processor.write("CS", selector);
}
inline std::uint16_t read_ss() {
    return selector_in("SS");
}
inline void write_ss(std::uint16_t selector) {
    processor.write("SS", selector);
}
inline std::uint16_t read_ds() {
    return selector_in("DS");
}
inline void write_ds(std::uint16_t selector) {
    processor.write("DS", selector);
}
inline std::uint16_t read_es() {
    return selector_in("ES");
}
inline void write_es(std::uint16_t selector) {
    processor.write("ES", selector);
}
// MOV to FS or GS loads the base from the descriptor: the one in the MSR is lost.
// [SDM 3A 3.4.4 "Segment Loading Instructions in IA-32e Mode"]
inline std::uint16_t read_fs() {
    return selector_in("FS");
}
inline void write_fs(std::uint16_t selector) {
    processor.write("FS", selector);
    processor.msrs[Msr::fs_base] = 0;
}
inline std::uint16_t read_gs() {
    return selector_in("GS");
}
inline void write_gs(std::uint16_t selector) {
    processor.write("GS", selector);
    processor.msrs[Msr::gs_base] = 0;
}

/// What the test has scripted for a VMX instruction; its effect is the caller's to note.
inline VmxResult vmx_answer(const std::string& name) {
    processor.written.push_back(name);
    const auto found = processor.refused.find(name);
    return found == processor.refused.end() ? VmxResult::succeed : found->second;
}
inline VmxResult vmxon(HostPhysicalAddress) {
    const VmxResult result = vmx_answer("VMXON");
    processor.in_vmx_operation |= result == VmxResult::succeed;
    return result;
}
inline VmxResult vmxoff() {
    processor.in_vmx_operation = false;
    return vmx_answer("VMXOFF");
}
inline VmxResult vmclear(HostPhysicalAddress region) {
    if (processor.current_vmcs == region.raw()) {
        processor.current_vmcs = no_vmcs;
    }
    return vmx_answer("VMCLEAR");
}
inline void raise_machine_check() {
    processor.written.push_back("INT 18");
}
inline std::uint64_t vmptrst() {
    return processor.current_vmcs;
}
inline VmxResult vmptrld(HostPhysicalAddress region) {
    const VmxResult result = vmx_answer("VMPTRLD");
    if (result == VmxResult::succeed) {
        processor.current_vmcs = region.raw();
    }
    return result;
}
inline VmxResult vmwrite(std::uint64_t encoding, std::uint64_t value) {
    const auto field = processor.vmcs.find(encoding);
    if (field == processor.vmcs.end()) {
        return processor.without_field;
    }
    field->second = value;
    return VmxResult::succeed;
}
inline VmxResult vmread(std::uint64_t encoding, std::uint64_t& value) {
    const auto field = processor.vmcs.find(encoding);
    if (field == processor.vmcs.end()) {
        // The failure's number replaces that of an earlier one.
        // [SDM 3C 30.4 "VM Instruction Error Numbers"]
        constexpr std::uint64_t instruction_error = 0x4400;
        constexpr std::uint64_t unsupported_component = 12;
        const auto error = processor.vmcs.find(instruction_error);
        if (error != processor.vmcs.end() && processor.without_field == VmxResult::fail_valid) {
            error->second = unsupported_component;
        }
        return processor.without_field;
    }
    value = field->second;
    return VmxResult::succeed;
}
inline bool try_vmread(std::uint64_t encoding, std::uint64_t& value) {
    return vmread(encoding, value) == VmxResult::succeed;
}
/// Every processor has the fields that are read so: what nobody has written is 0.
inline std::uint64_t vmread_unchecked(std::uint64_t encoding) {
    return processor.vmcs[encoding];
}
inline void vmwrite_unchecked(std::uint64_t encoding, std::uint64_t value) {
    processor.vmcs[encoding] = value;
}
inline VmxResult invept(InveptType type, std::uint64_t ept_pointer) {
    processor.write(type == InveptType::single_context ? "INVEPT 1" : "INVEPT 2", ept_pointer);
    const auto found = processor.refused.find("INVEPT");
    return found == processor.refused.end() ? VmxResult::succeed : found->second;
}
inline void invlpg(HostLinearAddress linear) {
    processor.write("INVLPG", linear.raw());
}
inline VmxResult invvpid(InvvpidType type, std::uint16_t vpid) {
    processor.write(type == InvvpidType::single_context ? "INVVPID 1" : "INVVPID 3", vpid);
    const auto found = processor.refused.find("INVVPID");
    return found == processor.refused.end() ? VmxResult::succeed : found->second;
}
inline VmcallResult vmcall(std::uint64_t, std::uint64_t) {
    throw std::runtime_error{"VMCALL: this processor is no guest"};
}
inline std::uint64_t rdtsc() {
    return ++processor.time;
}

}  // namespace hvp::arch
