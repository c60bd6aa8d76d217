// The Summary event.
#include "lab/nt/examiner/verdict.hpp"

#include <string_view>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/mm/blocks.hpp"

namespace hvp::lab::examiner {
namespace {

constinit Verdict the_verdict{};

constexpr std::string_view name_of(Result result) {
    switch (result) {
        case Result::passed:
            return "passed";
        case Result::refused:
            return "refused";
        case Result::failed:
            return "failed";
        case Result::bug_check:
            return "bugcheck";
    }
    return "";
}

}  // namespace

Verdict& verdict() {
    return the_verdict;
}

Result Verdict::result() const {
    if (complaints_ != 0 || not_loadable_) {
        return Result::failed;
    }
    return rtl::is_success(status_) ? Result::passed : Result::refused;
}

void Verdict::report_summary(Result result) const {
    dbg::Event{"Summary"}
        .text("result", name_of(result))
        .hex("status", static_cast<std::uint32_t>(status_), 8)
        .number("peak_bytes", mm::driver_holdings().peak)
        .number("leaked_bytes", leaked_bytes_)
        .number("stack_bytes", stack_bytes_)
        .number("loads", loads_);
}

}  // namespace hvp::lab::examiner
