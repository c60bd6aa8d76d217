// Which view a violation leads to, and the frames for single steps.
#include "hypervisor/hooks/split_page.hpp"

#include <algorithm>

namespace hvp::ept {

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
