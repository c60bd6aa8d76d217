// The repository's sentences.txt: every event that a stage reports has a sentence, and the other
// way round.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "tests/repository/sources.hpp"
#include "tool/base/repository.hpp"
#include "tool/story/sentence_table.hpp"

namespace hvp::tool {
namespace {

/// The fields of each event.
using Events = std::map<std::string, std::set<std::string>>;

/// The events that the sources below a folder report: `trace::Event<"Name", traits, UInt64<"a">>`.
Events reported_below(const std::string& folder) {
    static const std::regex declaration{R"re(Event<\s*"([A-Za-z0-9]+)"([^;]*);)re"};
    static const std::regex field{R"re(<"([a-z0-9_]+)"[>,])re"};
    Events events;
    for (const auto& file : repository::files_below({folder}, {".cpp", ".hpp"})) {
        if (file.path == "platform/platform.hpp") {
            continue;  // says what a sink of events is, and reports none
        }
        for (std::sregex_iterator it{file.text.begin(), file.text.end(), declaration}, end;
             it != end; ++it) {
            const std::string fields = (*it)[2];
            auto& names = events[(*it)[1]];
            for (std::sregex_iterator of{fields.begin(), fields.end(), field}; of != end; ++of) {
                names.insert((*of)[1]);
            }
        }
    }
    return events;
}

SentenceTable sentences_of(const std::string& folder) {
    const std::string path = "stages/" + folder + "/sentences.txt";
    const auto table = SentenceTable::parse(repository::read_file(path), path);
    EXPECT_TRUE(table) << table.error();
    return table ? *table : SentenceTable{};
}

std::set<std::string> events_of(const SentenceTable& table) {
    std::set<std::string> names;
    for (const Sentence& sentence : table.sentences()) {
        names.insert(sentence.event);
    }
    return names;
}

std::vector<std::string> stages() {
    return Repository{.root = repository::repository_root(), .build = {}}.stages();
}

/// Each sentence is about an event that is reported, and names only fields that the event has.
void expect_alive(const std::string& folder, const SentenceTable& table, const Events& reported) {
    for (const Sentence& sentence : table.sentences()) {
        const auto found = reported.find(sentence.event);
        ASSERT_NE(found, reported.end()) << folder << ": nothing reports " << sentence.event
                                         << ", line " << sentence.line_number;
        for (const std::string& field : sentence.fields()) {
            EXPECT_TRUE(found->second.contains(field))
                << folder << ": " << sentence.event << " has no field " << field;
        }
    }
}

TEST(StageSentences, AreAboutWhatTheStageReports) {
    const std::set<std::string> shared = events_of(sentences_of("shared"));
    for (const std::string& stage : stages()) {
        const SentenceTable own = sentences_of(stage);
        const Events reported = reported_below("stages/" + stage);
        expect_alive(stage, own, reported);
        const std::set<std::string> told = events_of(own);
        for (const auto& [event, fields] : reported) {
            EXPECT_TRUE(told.contains(event) || shared.contains(event))
                << stage << ": " << event << " has no sentence";
        }
    }
}

TEST(StageSentences, ThoseOfAllStagesAreAboutWhatThePlatformReports) {
    const SentenceTable shared = sentences_of("shared");
    const Events reported = reported_below("platform");
    EXPECT_GT(reported.size(), 8U);
    expect_alive("shared", shared, reported);
    const std::set<std::string> told = events_of(shared);
    for (const auto& [event, fields] : reported) {
        EXPECT_TRUE(told.contains(event)) << event << " has no sentence";
    }
}

/// The enumerators after the one that the text begins with, up to the end of their enum.
std::size_t count_of_enumerators(const std::string& text, const std::string& first) {
    static const std::regex enumerator{R"(\n    [a-z_]+)"};
    const std::size_t start = text.rfind('\n', text.find(first));
    const std::string list = text.substr(start, text.find("};", start) - start);
    return static_cast<std::size_t>(std::distance(
        std::sregex_iterator{list.begin(), list.end(), enumerator}, std::sregex_iterator{}));
}

// One name for each call, in a row from the first number on.
void expect_names(const std::string& folder, std::uint64_t first, std::size_t count) {
    const SentenceTable table = sentences_of(folder);
    EXPECT_EQ(table.hypercalls().size(), count) << folder;
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_TRUE(table.hypercalls().contains(first + i)) << folder << ": " << i;
    }
}

TEST(StageSentences, NameEachHypercall) {
    constexpr std::uint64_t first = 0x4856'5000;
    constexpr std::uint64_t first_of_stage = 0x4856'5100;
    expect_names("shared", first,
                 count_of_enumerators(repository::read_file("hypervisor/exits/hypercall.hpp"),
                                      "= 0x4856'5000"));
    for (const std::string& stage : stages()) {
        std::size_t calls = 0;
        for (const auto& file : repository::files_below({"stages/" + stage}, {".hpp"})) {
            if (file.text.contains("= vmx::first_call_of_stage")) {
                calls = count_of_enumerators(file.text, "= vmx::first_call_of_stage");
            }
        }
        expect_names(stage, first_of_stage, calls);
    }
}

}  // namespace
}  // namespace hvp::tool
