// Reads scope tables from the innermost block outwards.
#include "lab/nt/rtl/scope_table.hpp"

#include <algorithm>

namespace hvp::lab::rtl {

ScopeTable::ScopeTable(pe::Bytes memory, std::uint32_t address)
    : memory_{memory}, lines_{std::uint64_t{address} + sizeof(std::uint32_t)} {
    const std::uint64_t room =
        lines_ < memory.size() ? (memory.size() - lines_) / sizeof(Scope) : 0;
    const std::uint64_t said = pe::read<std::uint32_t>(memory, address).value_or(0);
    count_ = static_cast<std::uint32_t>(std::min(said, room));
}

std::optional<Scope> ScopeTable::line(std::uint32_t index) const {
    const auto scope = pe::read<Scope>(memory_, lines_ + std::uint64_t{index} * sizeof(Scope));
    if (!scope || scope->handler >= memory_.size() || scope->target >= memory_.size()) {
        return std::nullopt;
    }
    return scope;
}

std::optional<ScopeTable::Found> ScopeTable::filter(std::uint32_t first, std::uint64_t pc) const {
    for (std::uint32_t i = first; i < count_; ++i) {
        const auto scope = line(i);
        if (scope && !scope->is_finally() && scope->holds(pc)) {
            return Found{.scope = *scope, .next = i + 1};
        }
    }
    return std::nullopt;
}

bool ScopeTable::stays_in(const Scope& scope, std::uint64_t target) const {
    for (std::uint32_t i = 0; i < count_; ++i) {
        const auto other = line(i);
        if (other && other->holds(target) && other->is_same_block(scope)) {
            return true;
        }
    }
    return false;
}

std::optional<ScopeTable::Found> ScopeTable::termination(
    std::uint32_t first, std::uint64_t pc, std::optional<std::uint64_t> target) const {
    for (std::uint32_t i = first; i < count_; ++i) {
        const auto scope = line(i);
        if (!scope || !scope->holds(pc)) {
            continue;
        }
        // Going to a block's own __except leaves the block, but nothing that lies around it.
        if (target && (stays_in(*scope, *target) || scope->target == *target)) {
            return std::nullopt;
        }
        if (scope->is_finally()) {
            return Found{.scope = *scope, .next = i + 1};
        }
    }
    return std::nullopt;
}

}  // namespace hvp::lab::rtl
