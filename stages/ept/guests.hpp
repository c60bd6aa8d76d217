// The three guests of this stage, in the order in which they run.
#pragma once

#include <array>

#include "stages/ept/guest.hpp"
#include "stages/ept/journal.hpp"
#include "stages/ept/views.hpp"

namespace hvp::ept_stage {

struct Guest {
    const char* starts_with;
    InitialMap initial_map;
    void (*code)(void* guest_data);
    bool (*verify)(const platform::TraceProvider&, const Memory&, const vmx::GuestStop&);
};

/// The first one's EPT maps nothing: each page that it comes to use is an EPT violation, the pages
/// of its own page tables too. For the second all of that has been found out before, and it runs
/// without one; then a page that it executes is exchanged under it, and exchanged back; then reads
/// see one page and instruction fetches another. The third reads a page that it was not given.
inline constexpr std::array guests{
    Guest{"an empty EPT", InitialMap::nothing, touch_everything, verify_touched},
    Guest{"the pages that it needs", InitialMap::everything_needed, see_both, verify_views},
    Guest{"the same pages, and wants one more", InitialMap::everything_needed, look_outside,
          verify_stopped},
};

}  // namespace hvp::ept_stage
