// Records a run while it happens: both channels of the emulator become events and files.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "lab/machine/console.hpp"
#include "lab/machine/processor_log.hpp"
#include "tool/base/files.hpp"
#include "tool/record/no_progress.hpp"
#include "tool/record/processor_record.hpp"
#include "tool/record/run_folder.hpp"
#include "tool/record/timeline.hpp"

namespace hvp::tool {

/// Keeps the beginning and the end of a long log in memory, until we know whether it is wanted.
class LogExcerpt {
public:
    static constexpr std::size_t head_bytes = 8 << 20;
    static constexpr std::size_t tail_bytes = 8 << 20;

    explicit LogExcerpt(std::size_t head = head_bytes) : longest_head_{head} {}

    void add(std::string_view bytes);
    /// Returns  the log; where it was longer than what we keep, a line says how much is missing.
    [[nodiscard]] std::string text() const;
    [[nodiscard]] std::uint64_t dropped_bytes() const { return dropped_; }

private:
    std::size_t longest_head_;
    std::string head_;
    std::deque<std::string> tail_;
    std::uint64_t tail_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t dropped_lines_ = 0;
};

class Recording {
public:
    struct Wishes {
        bool whole_log = false;
        bool all_events = false;
    };

    /// Opens the run's files; `write_error` says when that is not possible.
    Recording(const RunFolder& folder, Wishes wishes);
    Recording(const Recording&) = delete;  // its callbacks know its address
    Recording& operator=(const Recording&) = delete;

    void on_console(std::string_view bytes) { console_.feed(bytes); }
    /// Stops in the middle when a guest seems to get nowhere: what follows waits for `acquit`.
    void on_log(std::string_view bytes);
    /// Returns  the exit that repeats, if a guest seems to get nowhere
    [[nodiscard]] std::optional<RepeatedExit> suspicion() const { return no_progress_.suspicion(); }
    /// It was no endless exit: goes on with the log.
    void acquit();
    /// Returns  false when the run must end: a file cannot be written, or the emulator is
    ///          not the one whose log we know.
    [[nodiscard]] bool go_on() const;
    /// Both channels are at their end.
    void finish();
    /// Writes the emulator's log if it is wanted, and what the console said.
    void write_evidence(const RunFolder& folder, bool log_too);

    [[nodiscard]] const Timeline& timeline() const { return timeline_; }
    [[nodiscard]] const ProcessorRecord& processors() const { return processors_; }
    [[nodiscard]] const lab::ProcessorLog& log() const { return log_; }
    /// Returns  the last thing that the emulator said for people on its console.
    [[nodiscard]] const std::string& console_text() const { return console_text_; }
    /// Returns  how much of processor.log was too long to be kept
    [[nodiscard]] std::uint64_t dropped_bytes() const { return processor_tail_.dropped_bytes(); }
    /// Returns  the first error of any of the run's files; empty: none.
    [[nodiscard]] const std::string& write_error() const { return write_error_; }
    void note_write_error(std::string error);

private:
    [[nodiscard]] std::optional<OutputFile> open(const std::filesystem::path& path);
    void on_lab_line(std::string_view line);
    void on_other_line(std::string_view line);
    void on_vmx_line(std::string_view line);

    bool whole_log_;
    std::optional<OutputFile> processor_file_;
    std::uint64_t processor_bytes_ = 0;  ///< written to that file
    LogExcerpt processor_tail_{0};       ///< what comes later
    NoProgress no_progress_;
    std::string waiting_;  ///< the log behind the line that made us suspicious
    std::optional<OutputFile> log_file_;
    LogExcerpt excerpt_;
    Timeline timeline_;
    ProcessorRecord processors_;
    std::string console_text_;
    std::string write_error_;
    lab::Console console_;
    lab::ProcessorLog log_;
};

}  // namespace hvp::tool
