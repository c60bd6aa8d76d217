// Every sentence that ends a run, and the result that it comes with.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "tool/run/verdict.hpp"

namespace hvp::tool {

enum class VerdictId {
    interrupted,
    never_woken,
    still_executing,
    halted,
    unresponsive,
    unknown_emulator,
    killed,
    triple_fault,
    emulator_gave_up,
    emulator_ended,
    silent_bug_check,
    bug_check,
    complaint,
    complaint_and_more,
    driver_failed,
    witnesses_disagree,
    story_differs,
    entry_refused,
    failed_after_entry,
    refused,
    passed,
};

struct VerdictSentence {
    VerdictId id;
    Result result;
    std::string_view words;  ///< `{}`: what is known of this run
};

inline constexpr auto verdict_sentences = std::to_array<VerdictSentence>({
    {VerdictId::interrupted, Result::failed, "interrupted"},
    {VerdictId::never_woken, Result::hung,
     "all processors are halted, and nothing has woken them to any purpose for {} ticks{}"},
    {VerdictId::still_executing, Result::hung,
     "the machine still executes after {} instructions{}; if it needs more, raise "
     "--timeout-ticks"},
    {VerdictId::halted, Result::hung, "the processor is halted and nothing will wake it{}"},
    {VerdictId::unresponsive, Result::hung, "the emulator itself stopped answering and was ended"},
    {VerdictId::unknown_emulator, Result::failed,
     "the emulator is {}, whose log we cannot read; install Debian 12's {} (package bochs)"},
    {VerdictId::killed, Result::failed,
     "the emulator was ended from outside by signal {} ({}); run it again"},
    {VerdictId::triple_fault, Result::bugcheck,
     "triple fault on processor {} at instruction {}; the registers are in bochs.log"},
    {VerdictId::emulator_gave_up, Result::failed, "the emulator gave up: {}"},
    {VerdictId::emulator_ended, Result::failed,
     "the emulator ended before the lab did; console.log and bochs.log have its last lines"},
    {VerdictId::silent_bug_check, Result::bugcheck, "the lab's kernel stopped without saying why"},
    {VerdictId::bug_check, Result::bugcheck, "{}{}"},
    {VerdictId::complaint, Result::failed, "{}"},
    {VerdictId::complaint_and_more, Result::failed, "{} (and {} more: story.txt)"},
    {VerdictId::driver_failed, Result::failed, "{} failed"},
    {VerdictId::witnesses_disagree, Result::failed, "witnesses disagree: {}"},
    {VerdictId::story_differs, Result::failed,
     "the story is not the one in stages/{}/story.txt: {}"},
    {VerdictId::entry_refused, Result::failed, "{} failed: {}"},
    {VerdictId::failed_after_entry, Result::failed, "DriverEntry returned {} after VMLAUNCH"},
    {VerdictId::refused, Result::refused, "{} refused to start with {}"},
    {VerdictId::passed, Result::passed, ""},
});

/// Needs    as many values as the sentence has places
template <typename... Values>
[[nodiscard]] Verdict verdict_of(VerdictId id, const Values&... values) {
    const auto* const found = std::ranges::find(verdict_sentences, id, &VerdictSentence::id);
    return {found->result, fmt::format(fmt::runtime(found->words), values...)};
}

}  // namespace hvp::tool
