// The run's result: counted during the run, reported at its end.
#pragma once

#include <cstdint>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::examiner {

enum class Result : std::uint8_t { passed, refused, failed, bug_check };

/// Everything that the Summary event says.
class Verdict {
public:
    void note_finding() { ++complaints_; }
    void note_difference() { ++complaints_; }
    void note_leak(std::uint64_t bytes) {
        ++complaints_;
        leaked_bytes_ += bytes;
    }
    void note_load() { ++loads_; }
    void note_not_loadable() { not_loadable_ = true; }
    void note_status(rtl::NtStatus status) { status_ = status; }
    void note_stack_use(std::uint64_t bytes) {
        stack_bytes_ = bytes > stack_bytes_ ? bytes : stack_bytes_;
    }

    /// The result if nothing else happens.
    [[nodiscard]] Result result() const;

    /// The Summary event; nothing may follow it.
    void report_summary(Result result) const;

private:
    std::uint64_t complaints_{};
    std::uint64_t leaked_bytes_{};
    std::uint64_t stack_bytes_{};
    std::uint64_t loads_{};
    rtl::NtStatus status_{};
    bool not_loadable_{};
};

[[nodiscard]] Verdict& verdict();

}  // namespace hvp::lab::examiner
