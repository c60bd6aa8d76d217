// A VMCS image while its dump is read: values with the lines where they stood, and all that is to
// be said about the reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tool/explain/dumps/numbers.hpp"
#include "tool/explain/names/field_names.hpp"
#include "tool/explain/vmcs_image.hpp"

namespace hvp::tool {

/// Collects what the readers of the different forms find.
class ImageBuilder {
public:
    using Item = VmcsImage::Item;

    /// What follows stands in this line.
    void go_to_line(std::size_t number) { line_ = number; }

    /// Sets a value as it was written. Exit reasons and VM-instruction errors may be decimal ones:
    /// that is decided when the whole text was seen.
    void set(NamedItem named, std::string_view name, const WrittenNumber& number);
    /// Sets a value that has one meaning only.
    void set_exactly(Item item, std::uint64_t value);
    /// The same, and what the text says about it later does not count.
    void set_for_good(Item item, std::uint64_t value);

    /// Notes a name that is not known, with the nearest one that is.
    void add_unknown(std::string_view name);
    /// Whether another one would be kept.
    [[nodiscard]] bool wants_unknown() const;
    void add_unknown(std::string_view name, std::string why);
    /// Adds a sentence about the dump, once.
    void add_note(std::string sentence);
    /// CR0 and CR4 of this dump are what the guest reads.
    void mark_as_guests_view() { image_.has_guests_view = true; }

    /// The text says that VM entry failed.
    void mark_as_failed() { image_.says_it_failed = true; }

    /// A dump with a heading begins. If there was one before, the two are not mixed.
    void begin_dump();

    [[nodiscard]] const VmcsImage& image() const { return image_; }
    [[nodiscard]] VmcsImage finish();

private:
    struct Undecided {
        NamedItem named;
        std::string name;
        WrittenNumber number;
        std::size_t line;
    };
    using Key = std::pair<Item::Kind, std::uint64_t>;

    void store(Item item, std::uint64_t value, std::size_t line);
    void decide(const Undecided& one);
    void decide_all();
    void note_values_that_differ();
    void note_unmarked_numbers();

    VmcsImage image_;
    std::size_t line_ = 0;
    std::map<Key, std::size_t> lines_;
    std::set<Key> final_;
    std::vector<Undecided> undecided_;
    std::vector<std::string> twice_;  ///< "Host RSP (lines 3 and 9)"
    std::size_t twice_count_ = 0;
    std::size_t hexadecimal_count_ = 0;  ///< unmarked numbers that can be nothing else
    std::vector<std::string> unmarked_;  ///< "line 3: GUEST_X 16"
    std::vector<VmcsImage> earlier_;
    bool has_heading_ = false;
};

}  // namespace hvp::tool
