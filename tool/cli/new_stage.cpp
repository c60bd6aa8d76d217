#include "tool/cli/new_stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <expected>
#include <regex>
#include <system_error>

#include "tool/base/files.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_name = 40;

using Written = std::expected<void, std::string>;

/// Everything that is called after a stage.
struct Names {
    std::string stage;
    std::string cpp_namespace;
};

// Stages choose their namespaces themselves, so we look at the sources.
std::string namespace_of(const fs::path& stage) {
    static const std::regex opening{R"(\nnamespace hvp::(\w+) \{)"};
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{stage, ignored}) {
        const auto text = read_text(entry.path());
        std::smatch found;
        if (text && entry.path().extension() == ".hpp" &&
            std::regex_search(*text, found, opening)) {
            return found[1];
        }
    }
    return {};
}

// "_stage" keeps it apart from the library's namespaces and the language's words.
Names names_of_new(const std::string& stage) {
    Names names{.stage = stage, .cpp_namespace = stage + "_stage"};
    std::ranges::replace(names.cpp_namespace, '-', '_');
    return names;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

std::string renamed(std::string text, const Names& from, const Names& to) {
    replace_all(text, "stages/" + from.stage + "/", "stages/" + to.stage + "/");
    replace_all(text, from.stage + ".sys", to.stage + ".sys");
    if (!from.cpp_namespace.empty()) {
        const std::regex in_full{"\\bhvp::" + from.cpp_namespace + "\\b"};
        const std::regex qualifier{"\\b" + from.cpp_namespace + "(?=::)"};
        text = std::regex_replace(text, in_full, "hvp::" + to.cpp_namespace);
        text = std::regex_replace(text, qualifier, to.cpp_namespace);
    }
    return text;
}

// The block of the chapter that shows a run, for the new stage.
std::string shown_run(const std::string& chapter, const Names& from, const Names& to) {
    const std::string first = "```\n$ ./playground run " + from.stage + "\n";
    const std::size_t start = chapter.find(first);
    if (start == std::string::npos) {
        return {};
    }
    const std::size_t end = chapter.find("\n```", start + first.size());
    std::string block = chapter.substr(start, end - start) + "\n```\n";
    replace_all(block, "./playground run " + from.stage, "./playground run " + to.stage);
    replace_all(block, "\n" + from.stage + " · ", "\n" + to.stage + " · ");
    return renamed(block, from, to);
}

std::string skeleton_of_chapter(const std::string& chapter, const Names& from, const Names& to) {
    return fmt::format(
        "# {0}: made from {1}\n"
        "\n"
        "What this stage shows that [`{1}`](../{1}/README.md) does not, in a few sentences.\n"
        "\n"
        "## What you will see\n"
        "{2}"
        "\n"
        "## Read it\n"
        "Begin with [driver.cpp](driver.cpp). `./playground diff {1} {0}` shows what is new.\n",
        to.stage, from.stage, shown_run(chapter, from, to));
}

bool is_copied(const fs::path& file) {
    const fs::path extension = file.extension();
    return extension == ".cpp" || extension == ".hpp" || extension == ".S" || extension == ".inc" ||
           file.filename() == "story.txt" || file.filename() == "sentences.txt";
}

std::expected<std::size_t, std::string> copy_files(const fs::path& source, const fs::path& target,
                                                   const Names& from, const Names& to) {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator{source}) {
        if (!is_copied(entry.path())) {
            continue;
        }
        const auto text = read_text(entry.path());
        if (!text) {
            return std::unexpected{text.error()};
        }
        if (const Written written =
                write_file(target / entry.path().filename(), renamed(*text, from, to));
            !written) {
            return std::unexpected{written.error()};
        }
        ++files;
    }
    const auto chapter = read_text(source / "README.md");
    const Written written =
        write_file(target / "README.md", skeleton_of_chapter(chapter ? *chapter : "", from, to));
    return written ? std::expected<std::size_t, std::string>{files + 1}
                   : std::unexpected{written.error()};
}

// In one step: the file is whole at any time.
Written add_to_order(const fs::path& order, const std::string& stage) {
    auto text = read_text(order);
    if (!text) {
        return std::unexpected{text.error()};
    }
    *text += text->empty() || text->ends_with('\n') ? "" : "\n";
    const fs::path beside = order.string() + ".new";
    if (const Written written = write_file(beside, *text + stage + "\n"); !written) {
        return written;
    }
    fs::rename(beside, order);
    return {};
}

std::expected<std::size_t, std::string> make(const Repository& repository, const Names& from,
                                             const Names& to) {
    // Not a stage until all of it is there: this folder has another name, which no stage may have.
    const fs::path draft = repository.root / "stages" / (".new-" + to.stage);
    const fs::path stage = repository.stage(to.stage);
    std::expected<std::size_t, std::string> files = std::unexpected{std::string{}};
    try {
        fs::remove_all(draft);
        fs::create_directory(draft);
        files = copy_files(repository.stage(from.stage), draft, from, to);
        if (files) {
            fs::rename(draft, stage);
            if (const Written added = add_to_order(repository.root / "stages" / "order", to.stage);
                !added) {
                files = std::unexpected{added.error()};
            }
        }
    } catch (const fs::filesystem_error& error) {
        files = std::unexpected{std::string{error.what()}};
    }
    if (!files) {
        std::error_code ignored;
        fs::remove_all(draft, ignored);
        fs::remove_all(stage, ignored);
        fs::remove(repository.root / "stages" / "order.new", ignored);
    }
    return files;
}

}  // namespace

std::string stage_name_complaint(const std::string& name, const Repository& repository) {
    static const std::regex allowed{"[a-z][a-z0-9]*(-[a-z0-9]+)*"};
    if (name.size() > longest_name || !std::regex_match(name, allowed)) {
        return fmt::format(
            "a stage's name has at most {} lower-case letters, digits and single hyphens, and "
            "begins with a letter; '{}' does not",
            longest_name, name);
    }
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(repository.stage(name), ignored))) {
        return fmt::format("there is a stages/{} already", name);
    }
    if (fs::exists(repository.stage_driver(name), ignored)) {
        return fmt::format("there is a driver {}.sys already, which is no stage's", name);
    }
    return {};
}

ExitStatus new_stage(const NewOptions& options, const Repository& repository) {
    const Names from{.stage = options.from,
                     .cpp_namespace = namespace_of(repository.stage(options.from))};
    const auto files = make(repository, from, names_of_new(options.name));
    if (!files) {
        fmt::print(stderr, "playground: new {}: {}\n", options.name, files.error());
        return ExitStatus::failed;
    }
    fmt::print(
        "stages/{0}/: {1} files, made from {2}; a line in stages/order\n"
        "./playground run {0} builds and runs it\n",
        options.name, *files, options.from);
    return ExitStatus::passed;
}

}  // namespace hvp::tool
