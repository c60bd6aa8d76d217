#include "stages/ept/guest.hpp"

#include "stages/shared/guest_calls.hpp"

namespace hvp::ept_stage {

using stages::ask;
using stages::stop;
using stages::sum_of_page;

[[gnu::section("GUEST")]] void touch_everything(void* guest_data) {
    GuestData& data = *static_cast<GuestData*>(guest_data);
    data.found.touched = data.target();
    stop();
}

[[gnu::section("GUEST")]] void see_both(void* guest_data) {
    GuestData& data = *static_cast<GuestData*>(guest_data);
    data.found.before = data.target();
    (void)ask(Call::redirect);
    data.found.redirected = data.target();
    (void)ask(Call::put_back);
    data.found.after = data.target();
    if (ask(Call::split)) {
        data.found.split_was_accepted = 1;
        for (std::size_t i = 0; i < data.found.calls.size(); ++i) {
            data.found.sums[i] = sum_of_page(data.target_page);
            data.found.calls[i] = data.target();
        }
        (void)ask(Call::join);
    }
    data.found.sum_after = sum_of_page(data.target_page);
    data.found.call_after = data.target();
    stop();
}

[[gnu::section("GUEST")]] void look_outside(void* guest_data) {
    GuestData& data = *static_cast<GuestData*>(guest_data);
    (void)*data.outside;
    data.found.came_back_from_outside = 1;
    stop();
}

[[gnu::section("TARGET")]] std::uint64_t target() {
    return answer_of_target;
}

[[gnu::section("OTHER")]] std::uint64_t other() {
    return answer_of_other;
}

}  // namespace hvp::ept_stage
