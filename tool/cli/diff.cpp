#include "tool/cli/diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tool/base/stage_sources.hpp"
#include "tool/base/subprocess.hpp"
#include "tool/story/terminal.hpp"

namespace hvp::tool {
namespace {

// git's comparison of two files, as it would be without anybody's settings; nothing where it
// cannot be started.
std::optional<std::string> compare(const Repository& repository, const std::string& before,
                                   const std::string& after, bool colour) {
    const auto answer = capture(
        {.arguments = {"git", "diff", "--no-index", "--no-ext-diff", "--no-textconv", "--patience",
                       "--src-prefix=a/", "--dst-prefix=b/",
                       colour ? "--color=always" : "--color=never", "--", before, after},
         .folder = repository.root,
         .environment = {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}}});
    constexpr int different = 1;
    if (!answer || answer->status > different) {
        return std::nullopt;
    }
    return answer->output;
}

class Comparison {
public:
    Comparison(const DiffOptions& options, const Repository& repository)
        : options_{options}, repository_{repository} {}

    [[nodiscard]] bool sources();
    void pieces();
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    void heading(const std::string& words) {
        text_ += text_.empty() ? "" : "\n";
        text_ += colour_ ? fmt::format("\033[1m{}\033[0m\n", words) : words + "\n";
    }

    const DiffOptions& options_;
    const Repository& repository_;
    const bool colour_ = layout_of_output().colour;
    std::string text_;
};

// Returns false where git is missing.
bool Comparison::sources() {
    const auto path = [](const std::string& stage, const std::string& name) {
        return fmt::format("stages/{}/{}", stage, name);
    };
    const std::vector<std::string> before = stage_sources(repository_.stage(options_.before));
    const std::vector<std::string> after = stage_sources(repository_.stage(options_.after));
    for (const std::string& name : after) {
        const bool is_new = !is_among(before, name);
        const auto difference =
            compare(repository_, is_new ? "/dev/null" : path(options_.before, name),
                    path(options_.after, name), colour_);
        if (!difference) {
            return false;
        }
        if (!difference->empty()) {
            heading(is_new
                        ? fmt::format("{}: only in {}", name, options_.after)
                        : fmt::format("{}: from {} to {}", name, options_.before, options_.after));
            text_ += *difference;
        }
    }
    for (const std::string& name : before) {
        if (!is_among(after, name)) {
            heading(fmt::format("{}: only in {}", name, options_.before));
        }
    }
    return true;
}

void Comparison::pieces() {
    const std::vector<std::string> known = used_pieces(repository_, options_.before);
    std::vector<std::string> added = used_pieces(repository_, options_.after);
    std::erase_if(added, [&](const std::string& piece) { return is_among(known, piece); });
    if (added.empty()) {
        return;
    }
    heading(fmt::format("{} also uses", options_.after));
    for (const std::string_view folder : {"hypervisor/", "platform/"}) {
        for (const std::string& piece : added) {
            if (piece.starts_with(folder)) {
                text_ += fmt::format("  {}\n      {}\n", piece,
                                     opening_sentence(repository_.root / piece));
            }
        }
    }
}

}  // namespace

ExitStatus diff(const DiffOptions& options, const Repository& repository) {
    Comparison comparison{options, repository};
    if (!comparison.sources()) {
        fmt::print(stderr, "playground: git is missing; install it: apt-get install git\n");
        return ExitStatus::host_lacks;
    }
    comparison.pieces();
    fmt::print("{}", comparison.text().empty()
                         ? fmt::format("{} and {} are the same\n", options.before, options.after)
                         : comparison.text());
    return ExitStatus::passed;
}

}  // namespace hvp::tool
