#include "tool/story/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace hvp::tool {
namespace {

constexpr unsigned widest = 120;
constexpr unsigned narrowest = 40;

}  // namespace

StoryLayout layout_of_output() {
    StoryLayout layout;
    winsize size{};
    if (isatty(STDOUT_FILENO) != 1) {
        return layout;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        layout.width = std::clamp<unsigned>(size.ws_col, narrowest, widest);
    }
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    layout.colour = (no_colour == nullptr || *no_colour == '\0') && terminal != nullptr &&
                    std::string_view{terminal} != "dumb";
    return layout;
}

}  // namespace hvp::tool
