// The tables inside an image that lies in memory: imports, exports, unwind data, the security
// cookie. Pure, and as strict as pe.hpp.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "lab/nt/ldr/pe.hpp"

namespace hvp::lab::pe {

/// One import.
struct Import {
    std::string_view module;
    std::string_view name;  ///< empty if it is asked for by ordinal
    std::uint16_t ordinal{};
    std::uint32_t slot{};  ///< RVA of the pointer that the loader fills
};

/// Walks over all imports of all descriptors; several may name the same module.
///
///     ImportReader reader{headers, memory};
///     while (reader.next()) { link(reader.current()); }
///     if (reader.refusal()) { … }
class ImportReader {
public:
    ImportReader(const Headers& headers, Bytes memory);

    /// Goes to the next import. False: there is none, or the table is broken.
    [[nodiscard]] bool next();
    [[nodiscard]] const Import& current() const { return current_; }

    /// What is wrong with the table, after the last `next`.
    [[nodiscard]] const std::optional<Refusal>& refusal() const { return refusal_; }

private:
    [[nodiscard]] bool next_descriptor();
    [[nodiscard]] bool refuse(std::string_view what, std::uint64_t where);

    Bytes memory_;
    std::uint64_t descriptor_;
    std::string_view module_{};
    std::uint64_t names_{};
    std::uint64_t slots_{};
    Import current_{};
    std::optional<Refusal> refusal_{};
};

/// The name at this index of the image's export table; nothing after the last one.
[[nodiscard]] std::optional<std::string_view> export_name(const Headers& headers, Bytes memory,
                                                          std::uint32_t index);

/// RVA of what the image exports under this name.
[[nodiscard]] std::optional<std::uint32_t> find_export(const Headers& headers, Bytes memory,
                                                       std::string_view name);

/// One line of .pdata.  [PE Format, "The .pdata Section"]
struct RuntimeFunction {
    std::uint32_t begin{};
    std::uint32_t end{};
    std::uint32_t unwind_data{};
};

/// The function that holds the RVA; leaf functions have none.
[[nodiscard]] std::optional<RuntimeFunction> find_function(const Headers& headers, Bytes memory,
                                                           std::uint32_t address);

/// RVA of the value against which /GS functions compare, if the image has one.
///
/// Needs    an image that is relocated to `base`
[[nodiscard]] std::optional<std::uint32_t> find_security_cookie(const Headers& headers,
                                                                Bytes memory, std::uint64_t base);

}  // namespace hvp::lab::pe
