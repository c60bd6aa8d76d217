// StateDifference and ExpectedChange.
#include "lab/nt/examiner/difference.hpp"

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/examiner/verdict.hpp"

namespace hvp::lab::examiner {

void report_difference(std::string_view item, std::uint64_t before, std::uint64_t after) {
    verdict().note_difference();
    dbg::Event{"StateDifference"}.text("item", item).hex("before", before).hex("after", after);
}

void report_expected_change(std::string_view item, std::uint64_t before, std::uint64_t after) {
    dbg::Event{"ExpectedChange"}.text("item", item).hex("before", before).hex("after", after);
}

}  // namespace hvp::lab::examiner
