// Split pages, the base of EPT hooks: data accesses and instruction fetches of one guest-physical
// page lead to two different frames.
//
// Each split page has a data frame and a code frame, and each processor is in one of three views at
// a time, by its own EPT pointer. As with Xen's altp2m, there is a read/write view and an execute
// view: in the *data view* split pages lead to their data frames and cannot be executed, in the
// *code view* they lead to their code frames and can only be executed. The *step view* is for one
// instruction that needs both at once. A violation in one view says that the processor needs
// another one; to switch changes no entry, so no other processor is affected.
//
// The step view is the data view, but the pages that the instruction lies in lead to frames of this
// processor's own, composed of the data frame and of the instruction's bytes from the code frame.
// After the step the processor is in the data view, as before the first fetch from a split page.
//
// What one instruction writes in the step view is copied to the data frame when the step is over.
// So a locked instruction in a split page is not atomic against another processor's write there.
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

/// A page with a frame for data accesses and one for instruction fetches. Either may be the page
/// itself.
struct SplitPage {
    arch::GuestPhysicalAddress page{0};
    arch::HostPhysicalAddress data{0};
    arch::HostPhysicalAddress code{0};
};

/// Why a page was not split.
enum class SplitPageError : std::uint8_t {
    not_aligned,      ///< an address is not that of a page
    full,             ///< the registry holds `capacity` pages
    already_split,    ///< the page is in the registry
    no_execute_only,  ///< this processor cannot execute what it cannot read: reads would see code
    out_of_range,     ///< an address is beyond what the processor has
    no_table_left,    ///< a view has no page left for its tables
};

/// The registry of split pages, in no particular order.
class SplitPages {
public:
    static constexpr std::size_t capacity = 32;

    [[nodiscard]] std::expected<void, SplitPageError> add(const SplitPage& page,
                                                          const Limits& limits);
    /// Returns  whether the page was in the registry
    bool remove(arch::GuestPhysicalAddress page);
    /// The split page that the address lies in, or null.
    [[nodiscard]] const SplitPage* find(arch::GuestPhysicalAddress address) const {
        for (const SplitPage& one : all()) {
            if (one.page == arch::page_of(address)) {
                return &one;
            }
        }
        return nullptr;
    }
    [[nodiscard]] std::span<const SplitPage> all() const { return {pages_.data(), count_}; }

private:
    std::array<SplitPage, capacity> pages_{};
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

/// Part of an instruction that lies in a split page.
struct InstructionPart {
    SplitPage split_page{};
    std::uint32_t first{};  ///< its first byte, within the page
    std::uint32_t count{};
};

/// What to do about an EPT violation.
struct ViolationResponse {
    enum class Kind : std::uint8_t {
        switch_to_data,
        switch_to_code,
        step,  ///< compose `parts`, execute one instruction in the step view
        /// No split page explains the violation. If the processor's view allows the access by now,
        /// another processor has edited it meanwhile: the access is to be tried again.
        not_split,
    };
    Kind kind{};
    std::array<InstructionPart, 2> parts{};
    std::uint32_t part_count{};
};

/// Whether a part of the instruction lies in a split page.
[[nodiscard]] inline bool touches_split_pages(const InstructionPlace& place,
                                              const SplitPages& pages) {
    return pages.find(place.first) != nullptr || (place.next_page && may_cross(place.first.raw()) &&
                                                  pages.find(*place.next_page) != nullptr);
}

/// The parts of the instruction that lie in split pages. Its length is not known before it has been
/// executed, so the greatest length is assumed.
[[nodiscard]] ViolationResponse parts_in_split_pages(const InstructionPlace& place,
                                                     const SplitPages& pages);

/// Decides by the processor's view, the access, and the place of the instruction.
///
/// It terminates: a fetch leads to the code view, from there an operand leads to the data view only
/// if the instruction does not need the code view, else to the step view, and that one allows
/// everything that one instruction can do. An access during event delivery is not the
/// instruction's, so it never needs a step; the handler's fetch comes after it.
/// Needs    `place` only for reads and writes in the code view
[[nodiscard]] inline ViolationResponse respond_to(const GuestMemoryEvent& event,
                                                  bool during_delivery, View view,
                                                  const InstructionPlace& place,
                                                  const SplitPages& pages) {
    constexpr ViolationResponse not_split{.kind = ViolationResponse::Kind::not_split};
    if (event.is_misconfiguration || pages.find(event.guest_physical) == nullptr) {
        return not_split;
    }
    const bool is_fetch = event.qualification.execute != 0;
    if (is_fetch) {
        // In the code view every split page can be executed.
        return view == View::code
                   ? not_split
                   : ViolationResponse{.kind = ViolationResponse::Kind::switch_to_code};
    }
    if (view != View::code) {
        return not_split;  // elsewhere they can all be read and written
    }
    if (during_delivery || !touches_split_pages(place, pages)) {
        return {.kind = ViolationResponse::Kind::switch_to_data};
    }
    return parts_in_split_pages(place, pages);
}

using PageBytes = std::span<std::byte, arch::page_bytes>;
using ConstPageBytes = std::span<const std::byte, arch::page_bytes>;

/// Makes a frame for one instruction: the data frame, with the part from the code frame; and a copy
/// of it, by which `copy_back` will know what the instruction has written.
///
/// An operand of the instruction inside that part sees the code frame where the frames differ. For
/// bytes of the instruction itself nothing else is possible, since they are both code and data;
/// after its end it is an error, if the instruction is shorter than 15 bytes: see `is_ambiguous`.
void compose(PageBytes frame, PageBytes before, ConstPageBytes data, ConstPageBytes code,
             const InstructionPart& part);

/// Whether an operand at this byte of the page may see the code frame in place of the data frame.
[[nodiscard]] bool is_ambiguous(ConstPageBytes data, ConstPageBytes code,
                                const InstructionPart& part, std::uint32_t operand);

/// After the step: copies what the instruction has changed in its frame to the data frame, its own
/// bytes too: writes go to the data frame, and the code frame stays as it is. No other byte of the
/// data frame is written, since other processors may be writing them.
///
/// A write of the value that a byte already had is not noticed. That matters only inside the part,
/// for a write of exactly the byte that the code frame has there: the data frame keeps its own.
/// Returns  how many bytes were changed
std::size_t copy_back(PageBytes data, ConstPageBytes frame, ConstPageBytes before);

}  // namespace hvp::ept
