// Which view a violation leads to, and the frames for single steps.
#include "hypervisor/hooks/split_page.hpp"

#include <algorithm>

namespace hvp::ept {
namespace {

/// Whether a part of the instruction lies in a split page.
bool touches_split_pages(const InstructionPlace& place, const SplitPages& pages) {
    return pages.find(place.first) != nullptr || (place.next_page && may_cross(place.first.raw()) &&
                                                  pages.find(*place.next_page) != nullptr);
}

/// The parts of the instruction that lie in split pages. Its length is not known before it has been
/// executed, so the greatest length is assumed.
ViolationResponse parts_in_split_pages(const InstructionPlace& place, const SplitPages& pages) {
    ViolationResponse step{.kind = ViolationResponse::Kind::step};
    const auto first = static_cast<std::uint32_t>(arch::offset_in_page(place.first));
    const auto in_first =
        std::min<std::uint32_t>(arch::most_instruction_bytes, arch::page_bytes - first);
    if (const SplitPage* const page = pages.find(place.first)) {
        step.parts[step.part_count++] = {.split_page = *page, .first = first, .count = in_first};
    }
    if (place.next_page && in_first < arch::most_instruction_bytes) {
        if (const SplitPage* const page = pages.find(*place.next_page)) {
            step.parts[step.part_count++] = {
                .split_page = *page, .first = 0, .count = arch::most_instruction_bytes - in_first};
        }
    }
    return step;
}

}  // namespace

std::expected<void, SplitPageError> SplitPages::add(const SplitPage& page, const Limits& limits) {
    if (!arch::is_page_aligned(page.page) || !arch::is_page_aligned(page.data) ||
        !arch::is_page_aligned(page.code)) {
        return std::unexpected{SplitPageError::not_aligned};
    }
    if (limits.capability.execute_only == 0) {
        return std::unexpected{SplitPageError::no_execute_only};
    }
    if (find(page.page) != nullptr) {
        return std::unexpected{SplitPageError::already_split};
    }
    if (count_ == capacity) {
        return std::unexpected{SplitPageError::full};
    }
    pages_[count_++] = page;
    return {};
}

bool SplitPages::remove(arch::GuestPhysicalAddress page) {
    const SplitPage* const found = find(page);
    if (found == nullptr) {
        return false;
    }
    pages_[static_cast<std::size_t>(found - pages_.data())] = pages_[--count_];
    return true;
}

const SplitPage* SplitPages::find(arch::GuestPhysicalAddress address) const {
    const auto found = std::ranges::find(all(), arch::page_of(address), &SplitPage::page);
    return found == all().end() ? nullptr : &*found;
}

ViolationResponse respond_to(const GuestMemoryEvent& event, bool during_delivery, View view,
                             const InstructionPlace& place, const SplitPages& pages) {
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

void compose(PageBytes frame, PageBytes before, ConstPageBytes data, ConstPageBytes code,
             const InstructionPart& part) {
    std::ranges::copy(data, frame.begin());
    std::ranges::copy(code.subspan(part.first, part.count), frame.begin() + part.first);
    std::ranges::copy(frame, before.begin());
}

bool is_ambiguous(ConstPageBytes data, ConstPageBytes code, const InstructionPart& part,
                  std::uint32_t operand) {
    return operand >= part.first && operand - part.first < part.count &&
           data[operand] != code[operand];
}

std::size_t copy_back(PageBytes data, ConstPageBytes frame, ConstPageBytes before) {
    std::size_t changed = 0;
    const auto word_at = [](ConstPageBytes page, std::size_t at) {
        std::uint64_t word{};
        __builtin_memcpy(&word, &page[at], sizeof word);
        return word;
    };
    // Most words are unchanged, and are not compared byte by byte.
    for (std::size_t at = 0; at < data.size(); at += sizeof(std::uint64_t)) {
        if (word_at(frame, at) == word_at(before, at)) {
            continue;
        }
        for (std::size_t i = at; i < at + sizeof(std::uint64_t); ++i) {
            if (frame[i] != before[i]) {
                data[i] = frame[i];
                ++changed;
            }
        }
    }
    return changed;
}

}  // namespace hvp::ept
