// A VMCS in ordinary memory: what the exit handlers work on where there is no VMX.
#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <type_traits>

#include "hypervisor/vmx/exit.hpp"

namespace hvp::vmx {

class MemoryVmcs {
public:
    template <typename F>
    [[nodiscard]] typename F::Value read(F) const {
        const auto found = fields_.find(F::encoding);
        const std::uint64_t raw = found == fields_.end() ? 0 : found->second;
        return std::bit_cast<typename F::Value>(static_cast<typename F::Raw>(raw));
    }
    template <typename F>
    void write(F, std::type_identity_t<typename F::Value> value) {
        fields_[F::encoding] = std::bit_cast<typename F::Raw>(value);
        ++writes_;
    }
    [[nodiscard]] int writes() const { return writes_; }

private:
    std::map<std::uint32_t, std::uint64_t> fields_{};
    int writes_{};
};
static_assert(VmcsAccess<MemoryVmcs>);

}  // namespace hvp::vmx
