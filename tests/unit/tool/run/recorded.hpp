// A recording made of lines, as the lab and the emulator would have written them.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tool/record/recording.hpp"
#include "tool/run/summary.hpp"
#include "tool/run/verdict.hpp"
#include "tool/run/witnesses.hpp"

namespace hvp::tool {

class Recorded {
public:
    /// `console` and `log`: without line ends
    explicit Recorded(const std::vector<std::string>& console,
                      const std::vector<std::string>& log = {})
        : folder_{*RunFolder::create(std::filesystem::temp_directory_path() / "hvp-recorded",
                                     "test")},
          recording_{folder_, {}} {
        for (const std::string& line : console) {
            recording_.on_console(line + "\n");
        }
        for (const std::string& line : log) {
            recording_.on_log(line + "\n");
        }
        recording_.finish();
        witnesses_ = compare_witnesses(recording_.timeline(), recording_.processors(), false);
    }
    ~Recorded() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_.path(), ignored);
    }
    Recorded(const Recorded&) = delete;
    Recorded& operator=(const Recorded&) = delete;

    [[nodiscard]] const Recording& recording() const { return recording_; }
    [[nodiscard]] Verdict verdict(lab::Ending ending = lab::Ending::ended) const {
        const lab::EmulatorOutcome outcome{
            .ending = ending, .killed_by = std::nullopt, .evidence = {}};
        return judge({.outcome = outcome,
                      .timeline = recording_.timeline(),
                      .witnesses = witnesses_,
                      .names = names_,
                      .driver_file = "x.sys",
                      .emulator = recording_.log().emulator(),
                      .panic = recording_.log().panic(),
                      .all_halted = false,
                      .timeout_ticks = 1'000});
    }
    [[nodiscard]] Json summary() const {
        return tool::summary({}, {.name = "x.sys", .bytes = 1, .sha256 = "00"}, recording_,
                             verdict(), witnesses_, 0.5);
    }

private:
    RunFolder folder_;
    Recording recording_;
    WitnessReport witnesses_;
    AddressNames names_;
};

}  // namespace hvp::tool
