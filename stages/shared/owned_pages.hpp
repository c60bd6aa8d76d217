// Pages for a stage's own objects, which the VMM uses while a guest runs.
#pragma once

#include <cstddef>
#include <expected>
#include <new>
#include <optional>
#include <utility>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/host.hpp"

namespace hvp::stages {

/// The failure of taking them.
[[nodiscard]] inline std::unexpected<vmx::Failure> no_pages() {
    static constexpr vmx::Explanation why{
        .step = "memory for EPT tables",
        .rule = {"3C", "28.2.2", "EPT Translation Mechanism"},
        .remedy = "no contiguous pages are left: start the driver soon after boot",
    };
    return std::unexpected{vmx::Failure{.kind = vmx::FailureKind::out_of_memory, .why = &why}};
}

/// A T at the start of contiguous pages, and free pages after it.
template <typename T>
class OwnedPages {
public:
    [[nodiscard]] static std::expected<OwnedPages, vmx::Failure> take(
        const platform::AtPassiveLevel& passive, std::size_t free_pages = 0) {
        constexpr arch::HostPhysicalAddress anywhere{0x7FFF'FFFF'FFFF'FFFF};
        auto run =
            platform::PageRun::allocate(passive, arch::pages_for(sizeof(T)) + free_pages, anywhere);
        if (!run) {
            return no_pages();
        }
        return OwnedPages{std::move(*run)};
    }

    [[nodiscard]] T& operator*() const { return *object_; }
    [[nodiscard]] T* operator->() const { return object_; }
    [[nodiscard]] std::byte* free_pages() const {
        return run_.start() + arch::pages_for(sizeof(T)) * arch::page_bytes;
    }
    /// All of it: for the VMM's page tables, and to hide.
    [[nodiscard]] arch::MappedRange range() const {
        return {.linear = arch::linear_address_of(run_.start()),
                .physical = run_.physical(),
                .pages = run_.bytes() / arch::page_bytes,
                .access = arch::Access::read_write};
    }
    [[nodiscard]] arch::HostPhysicalAddress physical_of(const void* object) const {
        return run_.physical() + (reinterpret_cast<std::uint64_t>(object) -
                                  reinterpret_cast<std::uint64_t>(run_.start()));
    }

private:
    explicit OwnedPages(platform::PageRun run)
        : run_{std::move(run)}, object_{new(run_.start()) T{}} {}

    platform::PageRun run_;
    T* object_;
};

}  // namespace hvp::stages
