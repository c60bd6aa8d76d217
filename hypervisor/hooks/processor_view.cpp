#include "hypervisor/hooks/processor_view.hpp"

#include <algorithm>

namespace hvp::ept {

ProcessorView::Outcome ProcessorView::on_violation(const GuestMemoryEvent& event,
                                                   bool during_delivery,
                                                   const InstructionPlace& place) {
    const Answer answer = answer_to(event, during_delivery, view_, place, views_->targets());
    Outcome outcome{.kind = Outcome::Kind::changed};
    switch (answer.kind) {
        case Answer::Kind::go_to_data:
            view_ = View::data;
            break;
        case Answer::Kind::go_to_code:
            view_ = View::code;
            break;
        case Answer::Kind::step:
            outcome = {.kind = Outcome::Kind::step, .due = begin_step(answer)};
            view_ = View::step;
            break;
        case Answer::Kind::not_a_target:
            return {};
    }
    ++changes_[static_cast<std::size_t>(view_)];
    return outcome;
}

PendingInvalidation ProcessorView::begin_step(const Answer& answer) {
    step_ = answer;
    for (std::size_t i = 0; i < step_.part_count; ++i) {
        const InstructionPart& part = step_.parts[i];
        compose(frames_->frames[i], frames_->before[i],
                ConstPageBytes{pages_.show(pages_.context, 0, part.target.data), arch::page_bytes},
                ConstPageBytes{pages_.show(pages_.context, 1, part.target.code), arch::page_bytes},
                part);
    }
    const std::array at{frames_at_, frames_at_ + arch::page_bytes};
    return views_->begin_step(processor_, parts(), std::span{at}.first(step_.part_count));
}

void ProcessorView::after_step() {
    for (std::size_t i = 0; i < step_.part_count; ++i) {
        std::byte* const data = pages_.show(pages_.context, 0, step_.parts[i].target.data);
        static_cast<void>(
            copy_back(PageBytes{data, arch::page_bytes}, frames_->frames[i], frames_->before[i]));
    }
    views_->end_step(processor_, parts());
    view_ = View::data;
}

std::span<const std::uint8_t> ProcessorView::instruction(const InstructionPlace& place) const {
    const std::uint64_t offset = place.first.raw() % arch::page_bytes;
    const Target* const target = views_->targets().find(place.first);
    const arch::HostPhysicalAddress page =
        target != nullptr ? target->code : arch::HostPhysicalAddress{place.first.raw() - offset};
    return {reinterpret_cast<const std::uint8_t*>(pages_.show(pages_.context, 1, page) + offset),
            std::min<std::uint64_t>(arch::page_bytes - offset, arch::most_instruction_bytes)};
}

}  // namespace hvp::ept
