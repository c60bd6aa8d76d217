// Registers as a debugger or a program prints a structure: `cs = {base = 0x0, limit = 0xffff, …}`
// (gdb), `cs: kvm_segment { base: 0, limit: 65535, … }` (Rust), `gs={0000 base=0 … flags=c0f3}`
// (VirtualBox).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tool/explain/dumps/segments.hpp"

namespace hvp::tool {

/// Reads structures that go over any number of lines.
class StructureReader {
public:
    explicit StructureReader(ImageBuilder& builder) : builder_{builder} {}

    /// Reads a line, if it is inside a structure of registers or opens one.
    ///
    /// Returns  whether it does
    bool read(std::string_view line);

private:
    void take_word(std::string_view word);
    void open();
    void close();
    void assign(std::string_view value);

    ImageBuilder& builder_;
    /// A structure that is open.
    struct Level {
        std::string name;
        SegmentParts parts;
    };
    std::vector<Level> levels_;
    std::string name_;  ///< the last word, which a value or a structure may follow
    bool expects_value_ = false;
    std::size_t lines_ = 0;  ///< since the first one was opened
};

}  // namespace hvp::tool
