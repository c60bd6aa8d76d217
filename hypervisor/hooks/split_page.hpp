// Pages with two faces: what reads and writes find there, and what runs.
//
// Each *target* page has a data face and a code face, and each processor is in one of three views
// at a time, by its own EPT pointer: in the *data view* targets lead to their data faces and cannot
// be executed, in the *code view* they lead to their code faces and can do nothing else, and the
// *step view* is for one instruction that needs both at once. A violation in one view says that the
// processor wants another one; going there changes no entry, so no other processor notices.
//
// The step view is the data view, but the pages that the instruction lies in lead to frames of this
// processor's own, composed of the data face and of the instruction's bytes from the code face.
// After it the processor is in the data view, like one that has not yet executed a target.
//
// What one instruction writes in the step view reaches the data face when the step is over. So a
// locked instruction in a target is not atomic against another processor's write to that target.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/instruction_types.hpp"
#include "hypervisor/ept/misconfiguration.hpp"
#include "hypervisor/ept/violation.hpp"

namespace hvp::ept {

/// A page with two faces. Either may be the page itself.
struct Target {
    arch::GuestPhysicalAddress page{0};
    arch::HostPhysicalAddress data{0};
    arch::HostPhysicalAddress code{0};
};

/// Why a target was not registered.
enum class TargetError : std::uint8_t {
    not_aligned,      ///< an address is not that of a page
    full,             ///< the registry holds `capacity` targets
    already,          ///< the page is one
    no_execute_only,  ///< this processor cannot execute what it cannot read: reads would see code
    out_of_range,     ///< an address is beyond what the processor has
    no_table_left,    ///< a view has no page left for its tables
};

/// The targets, whose order does not matter.
class Targets {
public:
    static constexpr std::size_t capacity = 32;

    [[nodiscard]] std::expected<void, TargetError> add(const Target& target, const Limits& limits);
    /// Returns  whether the page was one
    bool remove(arch::GuestPhysicalAddress page);
    /// The target that the address lies in, or null.
    [[nodiscard]] const Target* find(arch::GuestPhysicalAddress address) const;
    [[nodiscard]] std::span<const Target> all() const { return {targets_.data(), count_}; }

private:
    std::array<Target, capacity> targets_{};
    std::size_t count_{};
};

enum class View : std::uint8_t { data, code, step };

/// Where the instruction at the guest's RIP lies: the guest-physical address of its first byte, and
/// that of the next linear page, if it may reach it and the guest maps it.
struct InstructionPlace {
    arch::GuestPhysicalAddress first{0};
    std::optional<arch::GuestPhysicalAddress> next_page{};
};

/// Whether an instruction that begins here may reach the next page.
[[nodiscard]] constexpr bool may_cross(std::uint64_t rip) {
    return rip % arch::page_bytes > arch::page_bytes - arch::most_instruction_bytes;
}

/// Part of an instruction that lies in a target.
struct InstructionPart {
    Target target{};
    std::uint32_t first{};  ///< its first byte, within the page
    std::uint32_t count{};
};

/// What to do about an EPT violation.
struct Answer {
    enum class Kind : std::uint8_t {
        go_to_data,
        go_to_code,
        step,  ///< compose `parts`, execute one instruction in the step view
        /// The views do not explain it. If the view that the processor is in allows the access by
        /// now, another processor's edit came between: then it is to be tried again.
        not_a_target,
    };
    Kind kind{};
    std::array<InstructionPart, 2> parts{};
    std::uint32_t part_count{};
};

/// Decides from where the processor is, what it wanted, and where its instruction lies.
///
/// It comes to an end: a fetch leads to the code view, from there an operand leads to the data view
/// only if the instruction does not need the code view, else to the step view, and in that one
/// everything is allowed that one instruction can do. An access while an event is delivered is not
/// the instruction's, so it never needs a step; the handler's fetch comes after it.
/// Needs    `place` only for reads and writes in the code view
[[nodiscard]] Answer answer_to(const GuestMemoryEvent& event, bool during_delivery, View view,
                               const InstructionPlace& place, const Targets& targets);

using PageBytes = std::span<std::byte, arch::page_bytes>;
using ConstPageBytes = std::span<const std::byte, arch::page_bytes>;

/// Makes a frame for one instruction: the data face, but for the part from the code face; and a
/// copy of it, by which `copy_back` will know what the instruction has written.
///
/// An operand of the instruction inside that part sees the code face where the faces differ. For
/// bytes of the instruction itself nothing else is possible, since they are wanted as both; behind
/// its end it is, if the instruction is shorter than 15 bytes, an error that `is_ambiguous` shows.
void compose(PageBytes frame, PageBytes before, ConstPageBytes data, ConstPageBytes code,
             const InstructionPart& part);

/// Whether an operand at this byte of the page may see the code face in place of the data face.
[[nodiscard]] bool is_ambiguous(ConstPageBytes data, ConstPageBytes code,
                                const InstructionPart& part, std::uint32_t operand);

/// After the step: what the instruction has changed in its frame goes to the data face, its own
/// bytes too: writes go to the data face, and the code face stays as it is. No other byte of the
/// data face is touched, since other processors may be writing them.
///
/// A byte that got the value that it had is not seen as written. That matters only inside the part,
/// for a write of just the byte that the code face has there: the data face keeps its own.
/// Returns  how many bytes were changed
std::size_t copy_back(PageBytes data, ConstPageBytes frame, ConstPageBytes before);

}  // namespace hvp::ept
