// "name = value" in all its spellings: with `=`, `:`, `->` or blanks between them, one or many on a
// line, with and without what a log puts before the name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tool/explain/dumps/kernel_dumps.hpp"
#include "tool/explain/dumps/segments.hpp"

namespace hvp::tool {

/// Reads lines of names and values. A segment register's parts may be on several lines.
class PairReader {
public:
    explicit PairReader(ImageBuilder& builder) : builder_{builder} {}

    /// What follows is this part of a kernel's dump.
    void enter(DumpPart part);

    void read(std::string_view line);
    /// The text ends.
    void finish() { give_segment(); }

private:
    struct Pair {
        std::string_view group;  ///< the word in front of a colon before it, on the same line
        std::string_view name;
        WrittenNumber number;
        bool is_shown_only = false;
    };

    /// What a name means: nothing, a field or MSR, a register of a block.
    struct Meaning {
        std::optional<NamedItem> item;
        bool is_guests_view = false;
    };

    void read_marked(std::string_view line);
    void read_columns(std::string_view line);
    bool take(const Pair& pair);
    const Meaning& meaning_of(const Pair& pair);
    [[nodiscard]] Meaning look_up(const Pair& pair) const;
    [[nodiscard]] std::optional<NamedItem> in_part(const Pair& pair) const;
    [[nodiscard]] Meaning register_of(const Pair& pair) const;
    void look_for_segment(const Pair& pair);
    bool select_segment(std::string_view word);
    bool take_segment_part(const Pair& pair);
    bool take_table(const Pair& pair, std::string_view rest);
    struct Value;
    [[nodiscard]] static Value value_at(std::string_view line, std::size_t at, std::size_t mark);
    bool is_unknown(char mark, const Value& value, std::string_view name);
    void tell_unknown(std::string_view whole);
    void give_segment();
    [[nodiscard]] Side side() const;

    ImageBuilder& builder_;
    DumpPart part_ = DumpPart::none;
    bool line_is_the_hosts_ = false;
    bool has_read_ = false;                 ///< a value, in this line
    bool has_told_ = false;                 ///< an unknown name, in this line
    std::optional<SegmentFields> segment_;  ///< whose parts come
    SegmentParts parts_;
    /// Names that were looked up: a log repeats them, and looking up takes long.
    std::unordered_map<std::string, Meaning> known_;
    std::size_t looked_up_ = 0;
};

}  // namespace hvp::tool
