// A page of the documentation as a program reads it: its blocks, and the exercises of a chapter.
//
// An exercise is an item of a list, and has a name:
//
//     1. **The guest's TR is not busy** (`tr-not-busy`). What the reader should know …
//        ```diff
//        --- hypervisor/vcpu/setup/guest_segments.cpp
//        -    the line as it is
//        +    the line as it is wrong
//        ```
//        ```
//        $ ./playground run launch
//           ...
//           the lines that this prints
//        ```
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hvp::tool {

/// What stands between two lines with ```, without the block's own indentation.
struct Block {
    std::string language;  ///< as behind the first ```; empty for what a terminal shows
    std::vector<std::string> lines;
};

[[nodiscard]] std::vector<Block> blocks_of(std::string_view page);

struct Exercise {
    std::string name;
    std::string title;
    std::vector<Block> blocks;
};

/// Returns  the page's exercises, in their order.
[[nodiscard]] std::vector<Exercise> exercises_of(std::string_view page);

}  // namespace hvp::tool
