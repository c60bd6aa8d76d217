// The __try blocks of a function, and which of them an exception concerns.
// [Windows: x64 exception handling, "Language Specific Handler"] Pure: compiled and tested on the
// host too.
#pragma once

#include <cstdint>
#include <optional>

#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::rtl {

/// One __try block; addresses are relative to the image. `target` is where the __except block
/// begins; 0: it is a __finally block, and `handler` is that.
struct Scope {
    std::uint32_t begin{};
    std::uint32_t end{};
    std::uint32_t handler{};
    std::uint32_t target{};

    /// The `handler` of __except(EXCEPTION_EXECUTE_HANDLER), which needs no filter routine.
    static constexpr std::uint32_t always = 1;

    [[nodiscard]] bool is_finally() const { return target == 0; }
    [[nodiscard]] bool holds(std::uint64_t address) const {
        return address >= begin && address < end;
    }
    [[nodiscard]] bool is_same_block(const Scope& other) const {
        return handler == other.handler && target == other.target;
    }
};

/// The scope table that follows the unwind data of a function with __try in it: inner blocks come
/// first. A line that is not inside the image, or names an address outside of it, is ignored.
class ScopeTable {
public:
    ScopeTable(pe::Bytes memory, std::uint32_t address);

    /// A block, and where to continue the search.
    struct Found {
        Scope scope;
        std::uint32_t next{};
    };

    /// The innermost block, from the table's line `first` on, that may take an exception at `pc`.
    [[nodiscard]] std::optional<Found> filter(std::uint32_t first, std::uint64_t pc) const;

    /// The innermost __finally block, from line `first` on, that is left by going from `pc` to
    /// `target`; no target: the whole function is left.
    [[nodiscard]] std::optional<Found> termination(std::uint32_t first, std::uint64_t pc,
                                                   std::optional<std::uint64_t> target) const;

private:
    [[nodiscard]] std::optional<Scope> line(std::uint32_t index) const;
    [[nodiscard]] bool stays_in(const Scope& scope, std::uint64_t target) const;

    pe::Bytes memory_;
    std::uint64_t lines_;
    std::uint32_t count_;
};

}  // namespace hvp::lab::rtl
