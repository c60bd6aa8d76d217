#include "hypervisor/hooks/processor_view.hpp"

#include <algorithm>

namespace hvp::ept {

PendingInvalidation ProcessorView::begin_step(const ViolationResponse& step) {
    step_ = step;
    for (std::size_t i = 0; i < step_.part_count; ++i) {
        const InstructionPart& part = step_.parts[i];
        compose(
            frames_->frames[i], frames_->before[i],
            ConstPageBytes{pages_.show(pages_.context, 0, part.split_page.data), arch::page_bytes},
            ConstPageBytes{pages_.show(pages_.context, 1, part.split_page.code), arch::page_bytes},
            part);
    }
    const std::array at{frames_at_, frames_at_ + arch::page_bytes};
    return views_->begin_step(processor_, parts(), std::span{at}.first(step_.part_count));
}

void ProcessorView::after_step() {
    for (std::size_t i = 0; i < step_.part_count; ++i) {
        std::byte* const data = pages_.show(pages_.context, 0, step_.parts[i].split_page.data);
        static_cast<void>(
            copy_back(PageBytes{data, arch::page_bytes}, frames_->frames[i], frames_->before[i]));
    }
    views_->end_step(processor_, parts());
    view_ = View::data;
}

std::span<const std::uint8_t> ProcessorView::instruction(const InstructionPlace& place) const {
    const std::uint64_t offset = arch::offset_in_page(place.first);
    const SplitPage* const split = views_->split_pages().find(place.first);
    const arch::HostPhysicalAddress page =
        split != nullptr ? split->code : arch::HostPhysicalAddress{place.first.raw() - offset};
    return {reinterpret_cast<const std::uint8_t*>(pages_.show(pages_.context, 1, page) + offset),
            std::min<std::uint64_t>(arch::page_bytes - offset, arch::most_instruction_bytes)};
}

}  // namespace hvp::ept
