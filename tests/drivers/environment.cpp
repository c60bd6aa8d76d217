// A driver that looks at what it finds, as on Windows 10 x64, and says what is different.
//
// Each check prints one line that begins with `Wrong` if it fails; DriverEntry succeeds only if
// none does. The values are those that a debugger shows on Windows, and Microsoft's documentation.
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "hypervisor/arch/instructions.hpp"
#include "platform/windows/nt.hpp"

extern "C" NTKERNELAPI PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T NumberOfBytes, ULONG Tag);
extern "C" void* _AddressOfReturnAddress();
extern "C" NTSYSAPI VOID NTAPI RtlCaptureContext(PCONTEXT ContextRecord);

namespace {

using namespace hvp;
using arch::Msr;

constexpr ULONG tag = 'tseT';
constexpr ULONG64 nonpaged = 0x40;

constinit unsigned failures = 0;

void expect(bool right, const char* what, std::uint64_t value = 0) {
    if (!right) {
        ++failures;
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "Wrong what=\"%s\" value=0x%llx\n",
                   what, value);
    }
}

void expect_equal(std::uint64_t value, std::uint64_t wanted, const char* what) {
    expect(value == wanted, what, value);
}

template <typename T>
T read_gs(std::uint64_t offset) {
    T value{};
    asm volatile("mov %%gs:(%[offset]), %[value]" : [value] "=r"(value) : [offset] "r"(offset));
    return value;
}

template <typename T>
volatile T& at(std::uint64_t address) {
    return *std::bit_cast<volatile T*>(address);
}

std::uint64_t physical(const void* address) {
    return static_cast<std::uint64_t>(MmGetPhysicalAddress(const_cast<void*>(address)).QuadPart);
}

void check_selectors() {
    expect_equal(arch::read_cs(), 0x10, "CS");
    expect_equal(arch::read_ss(), 0x18, "SS");
    expect_equal(arch::read_ds(), 0x2B, "DS");
    expect_equal(arch::read_es(), 0x2B, "ES");
    expect_equal(arch::read_fs(), 0x53, "FS");
    expect_equal(arch::read_gs(), 0x2B, "GS");
    expect_equal(arch::str(), 0x40, "TR");
    expect_equal(arch::sldt(), 0, "LDTR");
}

void check_tables() {
    const auto gdtr = arch::sgdt();
    const auto idtr = arch::sidt();
    expect_equal(gdtr.limit_bytes, 0x57, "GDTR limit");
    expect_equal(idtr.limit_bytes, 0xFFF, "IDTR limit");
    constexpr std::array<std::uint64_t, 8> first_slots{0,
                                                       0,
                                                       0x0020'9B00'0000'0000,
                                                       0x0040'9300'0000'0000,
                                                       0x00CF'FB00'0000'FFFF,
                                                       0x00CF'F300'0000'FFFF,
                                                       0x0020'FB00'0000'0000,
                                                       0};
    for (std::size_t i = 0; i < first_slots.size(); ++i) {
        expect_equal(at<std::uint64_t>(gdtr.base + 8 * i), first_slots[i], "a GDT descriptor");
    }
    expect_equal(at<std::uint64_t>(gdtr.base + 0x50), 0x0040'F300'0000'3C00,
                 "the TEB's descriptor");
    const std::uint64_t task = at<std::uint64_t>(gdtr.base + 0x40);
    expect_equal(task & 0xFFFF, 0x67, "the TSS's limit");
    expect_equal(task >> 40 & 0xFF, 0x8B, "the TSS's type: present, busy");
    const std::array<std::pair<int, std::uint64_t>, 4> stacks{{{8, 1}, {18, 2}, {2, 3}, {14, 0}}};
    for (const auto& [vector, stack] : stacks) {
        const auto gate = at<std::uint64_t>(idtr.base + 16U * static_cast<unsigned>(vector));
        expect_equal(gate >> 32 & 7, stack, "a gate's interrupt stack");
        expect_equal(gate >> 40 & 0x1F, 0xE, "a gate's type");
        expect_equal(gate >> 16 & 0xFFFF, 0x10, "a gate's selector");
    }
    expect_equal(at<std::uint64_t>(idtr.base + 16U * 0x29) >> 45 & 3, 3, "INT 29h for users");
}

void check_control_registers() {
    expect_equal(arch::read_cr0().raw(), 0x8005'0033, "CR0");
    const bool has_pcid = (arch::cpuid(1).ecx >> 17 & 1) != 0;
    const arch::CpuidResult structured =
        arch::cpuid(0).eax >= 7 ? arch::cpuid(7) : arch::CpuidResult{};
    const bool has_cet = (structured.ecx >> 7 & 1) != 0 || (structured.edx >> 20 & 1) != 0;
    expect_equal(arch::read_cr3() & 0xFFF, has_pcid ? 2 : 0, "CR3's PCID");
    expect_equal(arch::read_cr4().raw() >> 17 & 1, has_pcid ? 1 : 0, "CR4.PCIDE");
    expect_equal(arch::read_cr4().raw() >> 23 & 1, has_cet ? 1 : 0, "CR4.CET");
    constexpr std::uint64_t always = 0x6F8;
    expect_equal(arch::read_cr4().raw() & always, always, "CR4: DE PSE PAE MCE PGE OSFXSR XMM");
    expect(!arch::read_cr4().has(arch::Cr4::vmx_enable), "CR4.VMXE");
    expect_equal(arch::read_cr8(), PASSIVE_LEVEL, "CR8");
    expect_equal(arch::read_mxcsr(), 0x1F80, "MXCSR");
    const auto flags = arch::read_rflags();
    expect(flags.has(arch::Rflags::interrupt_enable), "RFLAGS.IF", flags.raw());
    expect(!flags.has(arch::Rflags::direction), "RFLAGS.DF", flags.raw());
}

void check_msrs() {
    expect_equal(arch::rdmsr(Msr::efer) & ~0x800ULL, 0x501, "EFER without NXE");
    expect_equal(arch::rdmsr(Msr::pat), 0x0007'0106'0007'0106, "PAT");
    expect_equal(arch::rdmsr(Msr::star), 0x0023'0010'0000'0000, "STAR");
    expect_equal(arch::rdmsr(Msr::fmask), 0x4700, "FMASK");
    expect(arch::rdmsr(Msr::lstar) >> 47 == 0x1FFFF, "LSTAR", arch::rdmsr(Msr::lstar));
}

void check_processor_region() {
    const std::uint64_t region = arch::rdmsr(Msr::gs_base);
    expect_equal(read_gs<std::uint64_t>(0x18), region, "KPCR.Self");
    expect_equal(read_gs<std::uint64_t>(0x20), region + 0x180, "KPCR.CurrentPrcb");
    expect_equal(read_gs<std::uint64_t>(0x00), arch::sgdt().base, "KPCR.GdtBase");
    expect_equal(read_gs<std::uint64_t>(0x38), arch::sidt().base, "KPCR.IdtBase");
    expect_equal(read_gs<std::uint32_t>(0x1A4), KeGetCurrentProcessorNumberEx(nullptr), "Number");
    const auto thread = read_gs<std::uint64_t>(0x188);
    const auto process = at<std::uint64_t>(thread + 0xB8);
    expect_equal(at<std::uint64_t>(process + 0x28), arch::read_cr3(), "DirectoryTableBase");
    const auto limit = at<std::uint64_t>(thread + 0x30);
    const auto base = at<std::uint64_t>(thread + 0x38);
    expect_equal(base - limit, KERNEL_STACK_SIZE, "the stack's size");
    const auto here = std::bit_cast<std::uint64_t>(__builtin_frame_address(0));
    expect(here > limit && here < base, "the stack's limits", here);
    expect(!MmIsAddressValid(std::bit_cast<void*>(limit - 1)), "the page below the stack");
    expect(!MmIsAddressValid(std::bit_cast<void*>(base)), "the page above the stack");
}

void check_time() {
    constexpr std::uint64_t tick_count = 0xFFFF'F780'0000'0320;
    expect_equal(at<std::uint32_t>(0xFFFF'F780'0000'0260), 19044, "NtBuildNumber");
    const auto before = at<std::uint64_t>(tick_count);
    for (int i = 0; i < 100 && at<std::uint64_t>(tick_count) == before; ++i) {
        KeStallExecutionProcessor(50);
    }
    expect(at<std::uint64_t>(tick_count) > before, "the clock ticks");
    const KIRQL old = KeRaiseIrqlToDpcLevel();
    expect_equal(arch::read_cr8(), DISPATCH_LEVEL, "CR8 after raising");
    arch::write_cr8(HIGH_LEVEL);
    const auto masked = at<std::uint64_t>(tick_count);
    KeStallExecutionProcessor(3000);
    expect_equal(at<std::uint64_t>(tick_count), masked, "HIGH_LEVEL masks the clock");
    arch::write_cr8(old);
}

void check_pool() {
    auto* small = static_cast<unsigned char*>(ExAllocatePool2(nonpaged, 100, tag));
    auto* page = static_cast<unsigned char*>(ExAllocatePool2(nonpaged, PAGE_SIZE, tag));
    auto* large = static_cast<unsigned char*>(ExAllocatePool2(nonpaged, 4 * PAGE_SIZE, tag));
    const auto small_address = std::bit_cast<std::uint64_t>(small);
    expect_equal(small_address % 16, 0, "a small block's alignment");
    expect(small_address % PAGE_SIZE + 100 <= PAGE_SIZE, "a small block crosses a page");
    expect_equal(std::bit_cast<std::uint64_t>(page) % PAGE_SIZE, 0, "a page's alignment");
    expect_equal(page[0] + page[PAGE_SIZE - 1] + small[99], 0, "ExAllocatePool2 zeroes");
    expect(physical(page) != std::bit_cast<std::uint64_t>(page), "physical = virtual");
    expect(physical(large + PAGE_SIZE) != physical(large) + PAGE_SIZE, "pool is contiguous");
    expect_equal(physical(small + 5), physical(small) + 5, "physical address inside a page");
    ExFreePoolWithTag(large, tag);
    ExFreePoolWithTag(page, tag);
    ExFreePool(small);
    expect(!MmIsAddressValid(small), "freed memory is valid");
    expect_equal(physical(nullptr), 0, "physical address of nothing");
}

void check_contiguous_memory() {
    PHYSICAL_ADDRESS lowest;
    PHYSICAL_ADDRESS highest;
    PHYSICAL_ADDRESS boundary;
    lowest.QuadPart = 0x100'0000;
    highest.QuadPart = 0x1FF'FFFF;
    boundary.QuadPart = 0x1'0000;
    constexpr std::size_t bytes = 0x1'0000;
    auto* block = static_cast<unsigned char*>(
        MmAllocateContiguousMemorySpecifyCache(bytes, lowest, highest, boundary, MmCached));
    if (block == nullptr) {
        return expect(false, "contiguous memory");
    }
    const std::uint64_t start = physical(block);
    expect(start >= 0x100'0000 && start + bytes <= 0x200'0000, "its physical limits", start);
    expect_equal(start % 0x1'0000, 0, "its boundary");
    expect_equal(physical(block + bytes - 1), start + bytes - 1, "its last byte");
    MmFreeContiguousMemory(block);
}

// What public hypervisors rely on; see [Windows: RtlCaptureContext].
void check_capture_context() {
    static constinit CONTEXT context{};
    std::uint64_t rcx_after{};
    std::uint64_t rsp{};
    std::uint64_t home{0x1122'3344};
    asm volatile(
        "subq $48, %%rsp\n\t"
        "movq %[home], (%%rsp)\n\t"
        "movq %%rsp, %[rsp]\n\t"
        "movq $0x5555, %%r12\n\t"
        "leaq %[context], %%rcx\n\t"
        "call *%[capture]\n\t"
        "movq %%rcx, %[rcx]\n\t"
        "movq (%%rsp), %[home]\n\t"
        "addq $48, %%rsp"
        : [home] "+&r"(home), [rsp] "=&r"(rsp), [rcx] "=&r"(rcx_after)
        : [context] "m"(context), [capture] "r"(&RtlCaptureContext)
        : "rax", "rcx", "r12", "cc", "memory");
    expect_equal(rcx_after, std::bit_cast<std::uint64_t>(&context), "RCX after RtlCaptureContext");
    expect_equal(home, 0x1122'3344, "the home space after RtlCaptureContext");
    expect_equal(context.Rsp, rsp, "CONTEXT.Rsp");
    expect_equal(context.R12, 0x5555, "CONTEXT.R12");
    expect_equal(context.SegCs, 0x10, "CONTEXT.SegCs");
    expect_equal(context.ContextFlags, 0x10'000F, "CONTEXT.ContextFlags");
    expect((context.EFlags & 0x200) != 0, "CONTEXT.EFlags", context.EFlags);
    expect_equal(context.MxCsr, 0x1F80, "CONTEXT.MxCsr");
}

void check_processors() {
    KAFFINITY mask{};
    expect_equal(KeQueryActiveProcessorCount(&mask), 1, "KeQueryActiveProcessorCount");
    expect_equal(mask, 1, "the mask of processors");
    expect_equal(KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS), 1, "…CountEx");
    expect_equal(KeQueryActiveProcessorCountEx(5), 0, "…CountEx of a group that is not there");
    expect_equal(KeSetSystemAffinityThreadEx(1), 0, "the user's affinity is 0");
    expect_equal(KeSetSystemAffinityThreadEx(1), 1, "the affinity before");
    expect_equal(KeSetSystemAffinityThreadEx(2), 0, "no such processor");
    KeRevertToUserAffinityThreadEx(0);
    PROCESSOR_NUMBER number{};
    expect_equal(static_cast<std::uint32_t>(KeGetProcessorNumberFromIndex(1, &number)), 0xC000'000D,
                 "KeGetProcessorNumberFromIndex");
}

void check_driver_object(const DRIVER_OBJECT& driver, const UNICODE_STRING& path) {
    expect_equal(static_cast<std::uint64_t>(driver.Type), 4, "DRIVER_OBJECT.Type");
    expect_equal(static_cast<std::uint64_t>(driver.Size), 0x150, "DRIVER_OBJECT.Size");
    expect(driver.DriverInit != nullptr, "DriverInit");
    expect_equal(at<std::uint16_t>(std::bit_cast<std::uint64_t>(driver.DriverStart)), 0x5A4D,
                 "DriverStart");
    expect(driver.MajorFunction[0] != nullptr, "MajorFunction");
    expect_equal(path.Buffer[0], L'\\', "the registry path");
    expect(path.MaximumLength >= path.Length, "the registry path's length", path.Length);
}

/// What VT-x can do here: each MSR exists only if one before it says so. Nothing without VT-x.
/// [SDM 3D A.1 "Basic VMX Information"],
/// [SDM 3D A.3.3 "Secondary Processor-Based VM-Execution Controls"]
void tell_vmx_msrs() {
    constexpr std::uint32_t has_vmx = 1U << 5;
    if ((arch::cpuid(1).ecx & has_vmx) == 0) {
        return;
    }
    const auto allows = [](Msr msr, unsigned control) {
        return (arch::rdmsr(msr) >> (32 + control) & 1) != 0;
    };
    const bool secondary = allows(Msr::vmx_procbased_ctls, 31);
    const bool ept_or_vpid =
        secondary && (allows(Msr::vmx_procbased_ctls2, 1) || allows(Msr::vmx_procbased_ctls2, 5));
    const bool functions = secondary && allows(Msr::vmx_procbased_ctls2, 13);
    const bool true_controls = (arch::rdmsr(Msr::vmx_basic) >> 55 & 1) != 0;
    for (auto msr = static_cast<std::uint32_t>(Msr::vmx_basic);
         msr <= static_cast<std::uint32_t>(Msr::vmx_vmfunc); ++msr) {
        const auto which = static_cast<Msr>(msr);
        const bool exists = which < Msr::vmx_procbased_ctls2    ? true
                            : which == Msr::vmx_procbased_ctls2 ? secondary
                            : which == Msr::vmx_ept_vpid_cap    ? ept_or_vpid
                            : which == Msr::vmx_vmfunc          ? functions
                                                                : true_controls;
        if (exists) {
            DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "VmxMsr index=0x%x value=0x%llx\n",
                       msr, arch::rdmsr(which));
        }
    }
}

void on_unload(PDRIVER_OBJECT) {}

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    driver->DriverUnload = on_unload;
    // A function is entered with RSP 8 below a multiple of 16, where its return address lies.
    expect_equal(std::bit_cast<std::uint64_t>(_AddressOfReturnAddress()) % 16, 8, "RSP at entry");
    check_selectors();
    check_tables();
    check_control_registers();
    check_msrs();
    tell_vmx_msrs();
    check_processor_region();
    check_time();
    check_pool();
    check_contiguous_memory();
    check_capture_context();
    check_processors();
    check_driver_object(*driver, *path);
    return failures == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
