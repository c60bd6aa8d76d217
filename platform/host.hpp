// The host system that this build is for, as hvp::platform.
//
// The target of the build chooses it. Below: that the chosen one is complete.
#pragma once

#include "platform/platform.hpp"

#ifdef _WIN32
#include "platform/windows/image.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/kernel_mode.hpp"
#include "platform/windows/local_apic.hpp"
#include "platform/windows/memory.hpp"
#include "platform/windows/processors.hpp"
#include "platform/windows/time.hpp"
#include "platform/windows/trace.hpp"
#include "platform/windows/writable_alias.hpp"

namespace hvp::platform {
using namespace windows;
}
#else
#error "there is a platform for images of Windows only"
#endif

namespace hvp::platform {

static_assert(ContiguousPages<PageRun, AtPassiveLevel>);
static_assert(SecondMapping<WritableAlias, AtPassiveLevel>);
static_assert(PinsThread<PinnedToProcessor>);
static_assert(StopsPreemption<PreemptionOff>);
static_assert(EventSink<TraceProvider>);
static_assert(OwnImage<DriverImage>);

// Both addresses of what is no PageRun, and physical memory that the host has mapped nowhere.
static_assert(requires(const volatile void* something, std::uint64_t& value) {
    { physical_address_of(something) } -> std::same_as<arch::HostPhysicalAddress>;
    { physical_page_of(something) } -> std::same_as<arch::HostPhysicalAddress>;
    { read_physical(arch::GuestPhysicalAddress{0}, value) } -> std::same_as<bool>;
});
// Time: a counter that the host's clock interrupt advances.
static_assert(requires {
    { clock_ticks() } -> std::same_as<const volatile std::uint32_t*>;
});
// Whether there is a kernel around us at all, and how many processors it has.
static_assert(requires {
    { runs_in_a_kernel() } -> std::same_as<bool>;
    { processor_count() } -> std::same_as<std::uint32_t>;
});

/// Runs `work` once on each processor, one after the other, in the calling thread.
///
/// Where    as PinnedToProcessor
template <std::invocable<std::uint32_t> Work>
void on_each_processor(Work work) {
    for (std::uint32_t i = 0; i < processor_count(); ++i) {
        const PinnedToProcessor pinned{i};
        work(i);
    }
}

}  // namespace hvp::platform
