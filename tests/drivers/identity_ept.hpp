// An EPT for a guest of a test driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "hypervisor/ept/identity.hpp"
#include "platform/host.hpp"

namespace hvp::tests {

/// All of memory, one to one, for guests without paging.
class IdentityEpt {
public:
    /// Returns  false: there is not memory enough
    /// Where    DriverEntry
    [[nodiscard]] bool build(const ept::Limits& limits) {
        const arch::MtrrSnapshot mtrrs = arch::read_mtrrs();
        const auto count = ept::identity_table_count(mtrrs, limits);
        if (!count) {
            return false;
        }
        const std::size_t links =
            (*count * sizeof(std::uint32_t) + arch::page_bytes - 1) / arch::page_bytes;
        auto run =
            platform::PageRun::allocate(platform::AtPassiveLevel::in_driver_entry(), *count + links,
                                        arch::HostPhysicalAddress{0xFFFF'FFFF});
        if (!run) {
            return false;
        }
        run_.emplace(std::move(*run));
        auto* const first = reinterpret_cast<ept::Table*>(run_->start());
        pool_.emplace(std::span{first, *count},
                      std::span{reinterpret_cast<std::uint32_t*>(first + *count), *count},
                      run_->physical());
        auto tables = ept::Tables::create(*pool_, limits);
        if (!tables || !ept::map_identity(*tables, mtrrs)) {
            return false;
        }
        pointer_ = tables->pointer();
        tables_.emplace(std::move(*tables));
        return true;
    }
    [[nodiscard]] ept::Pointer pointer() const { return pointer_; }

private:
    std::optional<platform::PageRun> run_;
    std::optional<ept::TablePool> pool_;
    std::optional<ept::Tables> tables_;
    ept::Pointer pointer_{};
};

}  // namespace hvp::tests
