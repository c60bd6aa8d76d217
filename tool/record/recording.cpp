#include "tool/record/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tool/record/lab_lines.hpp"

namespace hvp::tool {
namespace {

constexpr std::size_t longest_console = 4 << 20;
constexpr std::uint64_t most_of_a_kind = 10'000;

}  // namespace

void LogExcerpt::add(std::string_view bytes) {
    const std::string_view first = bytes.substr(0, longest_head_ - head_.size());
    head_ += first;
    bytes.remove_prefix(first.size());
    if (bytes.empty()) {
        return;
    }
    tail_.emplace_back(bytes);
    tail_bytes_ += bytes.size();
    while (tail_bytes_ - tail_.front().size() > tail_bytes) {
        tail_bytes_ -= tail_.front().size();
        dropped_ += tail_.front().size();
        dropped_lines_ += static_cast<std::uint64_t>(std::ranges::count(tail_.front(), '\n'));
        tail_.pop_front();
    }
}

std::string LogExcerpt::text() const {
    std::string text = head_;
    if (dropped_ > 0) {
        text += fmt::format("\n[{} bytes in {} lines left out here; --keep keeps the whole log]\n",
                            dropped_, dropped_lines_);
    }
    for (const std::string& part : tail_) {
        text += part;
    }
    return text;
}

Recording::Recording(const RunFolder& folder, Wishes wishes)
    : whole_log_{wishes.whole_log},
      timeline_{wishes.all_events ? ~std::uint64_t{0} : most_of_a_kind},
      console_{{.lab = [this](std::string_view line) { on_lab_line(line); },
                .other = [this](std::string_view line) { on_other_line(line); }}},
      log_{{.event =
                [this](const lab::ProcessorEvent& event) {
                    processors_.add(event);
                    no_progress_.add(event);
                    timeline_.add(to_event(event));
                },
            .vmx_line = [this](std::string_view line) { on_vmx_line(line); }}} {
    processor_file_ = open(folder.path() / "processor.log");
    if (wishes.whole_log) {
        log_file_ = open(folder.path() / "bochs.log");
    }
}

std::optional<OutputFile> Recording::open(const std::filesystem::path& path) {
    auto file = OutputFile::create(path);
    if (!file) {
        note_write_error(file.error());
        return std::nullopt;
    }
    return std::move(*file);
}

void Recording::on_lab_line(std::string_view line) {
    auto events = read_lab_line(line);
    if (!events) {
        timeline_.add(unreadable_line(line, log_.last_tick()));
        on_other_line(line);
        return;
    }
    for (Event& event : *events) {
        timeline_.add(std::move(event));
    }
}

void Recording::on_other_line(std::string_view line) {
    if (console_text_.size() < longest_console) {
        console_text_ += line;
        console_text_ += '\n';
    }
}

void Recording::on_vmx_line(std::string_view line) {
    const std::string whole = std::string{line} + "\n";
    if (!processor_file_) {
        return;
    }
    if (whole_log_ || processor_bytes_ < LogExcerpt::head_bytes) {
        processor_file_->write(whole);
        processor_bytes_ += whole.size();
    } else {
        processor_tail_.add(whole);
    }
}

void Recording::on_log(std::string_view bytes) {
    // Line by line, so that a suspicion comes at the same line in each run.
    std::size_t fed = 0;
    while (fed < bytes.size() && !no_progress_.suspicion()) {
        const std::size_t end = std::min(bytes.find('\n', fed), bytes.size() - 1) + 1;
        log_.feed(bytes.substr(fed, end - fed));
        fed = end;
    }
    if (log_file_) {
        log_file_->write(bytes.substr(0, fed));
    } else {
        excerpt_.add(bytes.substr(0, fed));
    }
    waiting_ += bytes.substr(fed);
}

void Recording::acquit() {
    no_progress_.acquit();
    on_log(std::exchange(waiting_, {}));
}

bool Recording::go_on() const {
    const bool files_fine = write_error_.empty() &&
                            (!processor_file_ || processor_file_->error().empty()) &&
                            (!log_file_ || log_file_->error().empty());
    return files_fine && (log_.emulator().empty() || log_.emulator() == lab::known_emulator);
}

void Recording::finish() {
    console_.finish();
    log_.finish();
    timeline_.sort();
    if (processor_file_) {
        processor_file_->write(processor_tail_.text());
        note_write_error(processor_file_->close());
    }
    if (log_file_) {
        note_write_error(log_file_->close());
    }
}

void Recording::write_evidence(const RunFolder& folder, bool log_too) {
    const auto write = [&](std::string_view name, std::string_view content) {
        if (const auto written = write_file(folder.path() / name, content); !written) {
            note_write_error(written.error());
        }
    };
    write("console.log", console_text_);
    if (log_too && !log_file_) {
        write("bochs.log", excerpt_.text());
    }
}

void Recording::note_write_error(std::string error) {
    if (write_error_.empty()) {
        write_error_ = std::move(error);
    }
}

}  // namespace hvp::tool
