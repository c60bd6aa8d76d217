// A VMCS in ordinary memory: what the exit handlers work on where there is no VMX.
#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>

#include "hypervisor/vcpu/exit.hpp"

namespace hvp::vmx {

/// Copies share the fields, as all accesses to the current VMCS mean the same one.
class MemoryVmcs {
public:
    template <typename F>
    [[nodiscard]] typename F::Value read(F) const {
        const auto found = fields_->find(F::encoding);
        const std::uint64_t raw = found == fields_->end() ? 0 : found->second;
        return std::bit_cast<typename F::Value>(static_cast<typename F::Raw>(raw));
    }
    template <typename F>
    void write(F, std::type_identity_t<typename F::Value> value) {
        (*fields_)[F::encoding] = std::bit_cast<typename F::Raw>(value);
    }

private:
    std::shared_ptr<std::map<std::uint32_t, std::uint64_t>> fields_ =
        std::make_shared<std::map<std::uint32_t, std::uint64_t>>();
};
static_assert(VmcsAccess<MemoryVmcs>);

}  // namespace hvp::vmx
