// A VMCS from a dump: the fields, MSRs and facts that it contains, and no more.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hypervisor/vmcs/entry_checks/vmcs_under_test.hpp"

namespace hvp::tool {

/// A line of a dump that says something which we do not know.
struct UnknownLine {
    std::size_t number;  ///< from 1
    std::string name;    ///< the text in the place of a name
    std::string why;     ///< "no such field", "does not fit into 32 bits", …
    std::string suggestion;

    friend bool operator==(const UnknownLine&, const UnknownLine&) = default;
};

/// Both sides of an examination, from a dump: what rules ask, as far as it was written down.
class VmcsImage {
public:
    using Item = vmx::checks::Item;

    [[nodiscard]] std::optional<std::uint64_t> look_up(Item item) const {
        const auto found = values_.find({item.kind, item.number});
        return found == values_.end() ? std::nullopt : std::optional{found->second};
    }
    [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t encoding) const {
        return look_up({Item::Kind::field, encoding});
    }
    [[nodiscard]] std::optional<std::uint64_t> msr(arch::Msr index) const {
        return look_up(vmx::checks::item(index));
    }
    [[nodiscard]] std::optional<std::uint64_t> fact(vmx::checks::Fact fact) const {
        return look_up(vmx::checks::item(fact));
    }
    [[nodiscard]] std::optional<std::uint64_t> memory(std::uint64_t physical) const {
        return look_up({Item::Kind::memory, physical});
    }

    void set(Item item, std::uint64_t value) { values_[{item.kind, item.number}] = value; }

    using Values = std::map<std::pair<Item::Kind, std::uint64_t>, std::uint64_t>;
    [[nodiscard]] const Values& values() const { return values_; }

    std::vector<UnknownLine> unknown;
    /// Sentences about how the dump was read: which of two values, which notation.
    std::vector<std::string> notes;
    /// CR0 and CR4 are what the guest reads, not what the VMCS has: an emulator's or debugger's
    /// registers.
    bool has_guests_view = false;
    /// The text says that VM entry failed, by words without a number of the processor's.
    bool says_it_failed = false;

    /// The same fields, MSRs, facts and memory.
    friend bool operator==(const VmcsImage& a, const VmcsImage& b) {
        return a.values_ == b.values_;
    }

private:
    Values values_;
};

}  // namespace hvp::tool
