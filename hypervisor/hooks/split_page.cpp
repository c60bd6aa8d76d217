// Which view a violation leads to, and the frames for single steps.
#include "hypervisor/hooks/split_page.hpp"

#include <algorithm>

namespace hvp::ept {
namespace {

std::uint32_t offset_in_page(arch::GuestPhysicalAddress address) {
    return static_cast<std::uint32_t>(address.raw() % arch::page_bytes);
}

/// The parts of the instruction that lie in targets. Its length is not known before it has been
/// executed, so it is taken for as long as can be.
Answer parts_in_targets(const InstructionPlace& place, const Targets& targets) {
    Answer answer{.kind = Answer::Kind::step};
    const std::uint32_t first = offset_in_page(place.first);
    const auto in_first =
        std::min<std::uint32_t>(arch::most_instruction_bytes, arch::page_bytes - first);
    if (const Target* const target = targets.find(place.first)) {
        answer.parts[answer.part_count++] = {.target = *target, .first = first, .count = in_first};
    }
    if (place.next_page && in_first < arch::most_instruction_bytes) {
        if (const Target* const target = targets.find(*place.next_page)) {
            answer.parts[answer.part_count++] = {
                .target = *target, .first = 0, .count = arch::most_instruction_bytes - in_first};
        }
    }
    return answer;
}

}  // namespace

std::expected<void, TargetError> Targets::add(const Target& target, const Limits& limits) {
    if (!arch::is_page_aligned(target.page) || !arch::is_page_aligned(target.data) ||
        !arch::is_page_aligned(target.code)) {
        return std::unexpected{TargetError::not_aligned};
    }
    if (limits.capability.execute_only == 0) {
        return std::unexpected{TargetError::no_execute_only};
    }
    if (find(target.page) != nullptr) {
        return std::unexpected{TargetError::already};
    }
    if (count_ == capacity) {
        return std::unexpected{TargetError::full};
    }
    targets_[count_++] = target;
    return {};
}

bool Targets::remove(arch::GuestPhysicalAddress page) {
    const Target* const found = find(page);
    if (found == nullptr) {
        return false;
    }
    targets_[static_cast<std::size_t>(found - targets_.data())] = targets_[--count_];
    return true;
}

const Target* Targets::find(arch::GuestPhysicalAddress address) const {
    const auto page =
        arch::GuestPhysicalAddress{address.raw() / arch::page_bytes * arch::page_bytes};
    const auto found = std::ranges::find(all(), page, &Target::page);
    return found == all().end() ? nullptr : &*found;
}

Answer answer_to(const GuestMemoryEvent& event, bool during_delivery, View view,
                 const InstructionPlace& place, const Targets& targets) {
    constexpr Answer not_a_target{.kind = Answer::Kind::not_a_target};
    if (event.is_misconfiguration || targets.find(event.guest_physical) == nullptr) {
        return not_a_target;
    }
    const bool is_fetch = event.qualification.execute != 0;
    if (is_fetch) {
        // In the code view every target can be executed.
        return view == View::code ? not_a_target : Answer{.kind = Answer::Kind::go_to_code};
    }
    if (view != View::code) {
        return not_a_target;  // elsewhere they can all be read and written
    }
    const Answer step = parts_in_targets(place, targets);
    if (during_delivery || step.part_count == 0) {
        return {.kind = Answer::Kind::go_to_data};
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
    // Most words are as they were, and are not looked at byte by byte.
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
