// What VM entry checks: fields of the VMCS, capability MSRs, and a few facts about the processor.
//
// The rules read through `VmcsUnderTest`, so that the same code works on the processor's current
// VMCS and on an image of one in memory. An image may be incomplete: what a rule needed and did not
// get is noted, and its answer then means nothing.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hypervisor/arch/msr.hpp"
#include "hypervisor/ept/capability.hpp"
#include "hypervisor/vmcs/controls.hpp"
#include "hypervisor/vmcs/fields.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"

namespace hvp::vmx::checks {

/// What VM entry depends on besides the VMCS and the MSRs.
enum class Fact : std::uint8_t {
    physical_address_bits,   ///< MAXPHYADDR, CPUID.80000008H:EAX[7:0]
    linear_address_bits,     ///< CPUID.80000008H:EAX[15:8]
    has_intel_64,            ///< the processor has a 64-bit mode
    has_sgx,                 ///< CPUID.(EAX=07H,ECX=0):EBX[2]
    has_rtm,                 ///< CPUID.(EAX=07H,ECX=0):EBX[11]
    perf_global_ctrl_mask,   ///< the bits of IA32_PERF_GLOBAL_CTRL that are not reserved
    nmi_under_sti_refused,   ///< whether this processor refuses an NMI under blocking by STI
    in_smm,                  ///< VM entry is executed in system-management mode
    in_ia32e_mode,           ///< IA32_EFER.LMA when VM entry is executed
    outside_64_bit_mode,     ///< virtual-8086 or compatibility mode when VM entry is executed
    privilege_level,         ///< CPL when VM entry is executed
    has_current_vmcs,        ///< VMPTRLD has made a VMCS current
    current_vmcs_is_shadow,  ///< and it is a shadow VMCS
    current_vmcs_pointer,    ///< its physical address
    blocking_by_mov_ss,      ///< the instruction before was MOV SS or POP SS
    by_vmresume,             ///< the instruction was VMRESUME, not VMLAUNCH
    is_launched,             ///< the launch state of the VMCS is "launched"
};
inline constexpr std::size_t fact_count = static_cast<std::size_t>(Fact::is_launched) + 1;

/// Something that can be asked for.
struct Item {
    enum class Kind : std::uint8_t { none, field, msr, fact, memory };
    Kind kind{Kind::none};
    std::uint64_t number{};  ///< encoding, index of the MSR, `Fact`, physical address

    friend constexpr bool operator==(Item, Item) = default;
};

template <Width width, Area area, std::uint32_t index, typename T>
[[nodiscard]] constexpr Item item(Field<width, area, index, T> field) {
    return {Item::Kind::field, decltype(field)::encoding};
}
[[nodiscard]] constexpr Item item(arch::Msr msr) {
    return {Item::Kind::msr, static_cast<std::uint64_t>(msr)};
}
[[nodiscard]] constexpr Item item(Fact fact) {
    return {Item::Kind::fact, static_cast<std::uint64_t>(fact)};
}

/// Something that has VMCS fields, perhaps not all: the current VMCS, or an image.
template <typename V>
concept VmcsFields = requires(const V& vmcs, std::uint32_t encoding) {
    { vmcs.find(encoding) } -> std::same_as<std::optional<std::uint64_t>>;
};

/// Something that knows the processor; `memory` is the 8 bytes at a physical address.
template <typename P>
concept ProcessorFacts =
    requires(const P& processor, arch::Msr msr, Fact fact, std::uint64_t physical) {
        { processor.msr(msr) } -> std::same_as<std::optional<std::uint64_t>>;
        { processor.fact(fact) } -> std::same_as<std::optional<std::uint64_t>>;
        { processor.memory(physical) } -> std::same_as<std::optional<std::uint64_t>>;
    };

/// A VMCS and a processor under examination by one rule.
class VmcsUnderTest {
public:
    /// `vmcs` and `processor` must outlive it.
    template <VmcsFields V, ProcessorFacts P>
    VmcsUnderTest(const V& vmcs, const P& processor)
        : vmcs_{&vmcs},
          processor_{&processor},
          find_{[](const void* from, const void* on, Item what) {
              const auto& fields = *static_cast<const V*>(from);
              const auto& facts = *static_cast<const P*>(on);
              switch (what.kind) {
                  case Item::Kind::none:
                      break;
                  case Item::Kind::field:
                      return fields.find(static_cast<std::uint32_t>(what.number));
                  case Item::Kind::msr:
                      return facts.msr(static_cast<arch::Msr>(what.number));
                  case Item::Kind::fact:
                      return facts.fact(static_cast<Fact>(what.number));
                  case Item::Kind::memory:
                      return facts.memory(what.number);
              }
              return std::optional<std::uint64_t>{};
          }} {}

    /// Returns  its value; 0, and it is noted as missing, when it is not known
    std::uint64_t raw(Item what) {
        if (const std::optional<std::uint64_t> value = find_(vmcs_, processor_, what)) {
            return *value;
        }
        // Behind something that is not known, an address means nothing, and neither does a
        // condition.
        const bool is_field = what.kind == Item::Kind::field;
        if (missing_count_ < missing_.size() && (is_field || missing_count_ == 0)) {
            missing_[missing_count_++] = what;
        }
        return 0;
    }
    [[nodiscard]] std::span<const Item> missing() const {
        return {missing_.data(), missing_count_};
    }

    template <typename F>
    std::uint64_t raw(F field) {
        return raw(item(field));
    }
    template <typename F>
    typename F::Value read(F field) {
        return std::bit_cast<typename F::Value>(static_cast<typename F::Raw>(raw(field)));
    }
    /// The field of one segment register; `first` is the first of its row.
    template <typename F>
    typename F::Value read(F first, SegmentIndex segment) {
        return std::bit_cast<typename F::Value>(
            static_cast<typename F::Raw>(raw(Item{Item::Kind::field, nth(first, segment)})));
    }
    std::uint64_t memory(std::uint64_t physical) { return raw(Item{Item::Kind::memory, physical}); }
    template <typename Word>
    Word msr(arch::Msr index) {
        return std::bit_cast<Word>(raw(item(index)));
    }
    bool is(Fact fact) { return raw(item(fact)) != 0; }

    // Whether a control is 1. With "activate secondary controls" at 0, all secondary ones count as
    // 0, whatever their field says.
    // [SDM 3C 24.6.2 "Processor-Based VM-Execution Controls"]
    bool has(PinControl control) { return read(pin_based_controls).has(control); }
    bool has(PrimaryControl control) { return read(primary_processor_based_controls).has(control); }
    bool has(SecondaryControl control) {
        return has(PrimaryControl::activate_secondary_controls) &&
               read(secondary_processor_based_controls).has(control);
    }
    bool has(ExitControl control) { return read(exit_controls).has(control); }
    bool has(EntryControl control) { return read(entry_controls).has(control); }

    /// What the processor says about a word of controls: the TRUE MSR where it has those.
    ControlCapability capability(arch::Msr plain, arch::Msr true_capability) {
        const bool precise = msr<VmxBasic>(arch::Msr::vmx_basic).has_true_controls != 0;
        return ControlCapability::from_msr(raw(item(precise ? true_capability : plain)));
    }

    /// The bits of a physical address that this processor does not have. Some processors take
    /// 32-bit addresses for everything in a VMCS.  [SDM 3D A.1 "Basic VMX Information"]
    std::uint64_t beyond_width(std::uint64_t address) {
        const bool narrow = msr<VmxBasic>(arch::Msr::vmx_basic).addresses_are_32_bits != 0;
        const std::uint64_t bits = narrow ? 32 : raw(item(Fact::physical_address_bits));
        return bits < 64 ? address >> bits << bits : 0;
    }

    /// Whether all bits above the linear-address width are copies of the highest one below.
    bool is_canonical(std::uint64_t address) {
        const std::uint64_t bits = raw(item(Fact::linear_address_bits));
        if (bits == 0 || bits >= 64) {
            return true;
        }
        const auto upper = static_cast<std::int64_t>(address) >> (bits - 1);
        return upper == 0 || upper == -1;
    }

private:
    using Find = std::optional<std::uint64_t> (*)(const void*, const void*, Item);

    const void* vmcs_;
    const void* processor_;
    Find find_;
    std::array<Item, 4> missing_{};
    std::size_t missing_count_{};
};

}  // namespace hvp::vmx::checks
