// A VMCS with a processor to judge it by.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tool/explain/model_processor.hpp"
#include "tool/explain/texts/rule_words.hpp"
#include "tool/explain/vmcs_image.hpp"
#include "tool/explain/what_entry_said.hpp"

namespace hvp::tool {

/// Whose processor a model is.
enum class ModelIs : std::uint8_t {
    assumed,  ///< any: the dump's processor is not known, and it may have more than the model
    known,    ///< the one that the VMCS was for: of a run, or named by the user
};

/// What the image does not know of its own processor is taken from the model, or is what it almost
/// always is (CPL 0, outside SMM, a 64-bit VMM).
class Judged {
public:
    Judged(const VmcsImage& image, const ModelProcessor& model, ModelIs model_is = ModelIs::assumed)
        : image_{image}, model_{model}, model_is_{model_is}, said_{what_entry_said(image)} {}

    [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t encoding) const;
    [[nodiscard]] std::optional<std::uint64_t> msr(arch::Msr index) const;
    [[nodiscard]] std::optional<std::uint64_t> fact(vmx::checks::Fact fact) const;
    [[nodiscard]] std::optional<std::uint64_t> memory(std::uint64_t physical) const {
        return of_the_dump({Item::Kind::memory, physical});
    }
    [[nodiscard]] std::optional<std::uint64_t> look_up(Item item) const;

    /// Whether the dump had an answer since `forget_questions`.
    [[nodiscard]] bool has_asked_the_dump() const { return has_asked_; }
    void forget_questions() const { has_asked_ = false; }

    [[nodiscard]] const VmcsImage& image() const { return image_; }
    [[nodiscard]] const WhatEntrySaid& said() const { return said_; }
    [[nodiscard]] ModelIs model_is() const { return model_is_; }

    /// Whether this comes from the model, not from the dump.
    [[nodiscard]] bool is_of_the_model(Item item) const;

    /// The same, with the values of two fields that many dumps lack, as far as other fields tell
    /// them: RFLAGS.VM from the access rights of CS, "IA-32e mode guest" from IA32_EFER.LMA.
    ///
    /// Returns  nothing when other fields do not tell what `missing` lacks
    [[nodiscard]] std::optional<Judged> with_likely_values(std::span<const Item> missing) const;

private:
    [[nodiscard]] std::optional<std::uint64_t> of_the_dump(Item item) const;

    const VmcsImage& image_;
    const ModelProcessor& model_;
    ModelIs model_is_;
    WhatEntrySaid said_;
    std::optional<std::uint64_t> likely_rflags_;
    std::optional<std::uint64_t> likely_entry_controls_;
    mutable bool has_asked_ = false;
};

}  // namespace hvp::tool
