#include "tool/run/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "tool/base/output.hpp"
#include "tool/story/story.hpp"

namespace hvp::tool {
namespace {

using namespace std::chrono_literals;

constexpr auto a_moment = 1s;
constexpr auto between = 250ms;
constexpr const char* erase_line = "\r\033[K";

}  // namespace

Progress::Progress(bool wanted, Clock::time_point started)
    : wanted_{wanted && isatty(STDOUT_FILENO) == 1}, started_{started}, next_{started + a_moment} {}

void Progress::show(std::uint64_t ticks, std::uint64_t exits) {
    const auto now = Clock::now();
    if (!wanted_ || now < next_) {
        return;
    }
    next_ = now + between;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - started_).count();
    fmt::print("{}{} s, instruction {}, {} VM exits; Ctrl-C ends it", erase_line, seconds,
               grouped(ticks), grouped(exits));
    flush_output();
    is_shown_ = true;
}

void Progress::clear() {
    if (is_shown_) {
        std::fputs(erase_line, stdout);
        flush_output();
        is_shown_ = false;
    }
}

}  // namespace hvp::tool
