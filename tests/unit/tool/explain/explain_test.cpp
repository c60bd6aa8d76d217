// Dumps of a VMCS in the forms in which people paste them, each explained in one screen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tests/repository/sources.hpp"
#include "tool/base/temporary_folder.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/explain/entry_failure.hpp"
#include "tool/explain/explain.hpp"
#include "tool/explain/explain_number.hpp"
#include "tool/explain/explanation.hpp"
#include "tool/explain/names/field_names.hpp"

namespace hvp::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const ModelProcessor& skylake() {
    static const ModelProcessor model = *ModelProcessor::of("corei7_skylake_x");
    return model;
}

std::string broken_ids(const VmcsImage& image) {
    const Judged judged{image, skylake()};
    std::string ids;
    for (const BrokenRule& one : explain_image(judged).broken) {
        ids += (ids.empty() ? "" : ", ") + rule_id(*one.rule);
    }
    return ids;
}

std::string text_of(const VmcsImage& image) {
    const Judged judged{image, skylake()};
    return explanation_text(judged, explain_image(judged), {.model = "corei7_skylake_x"});
}

// What stands behind "# name: " at the head of a dump.
std::string expectation(const std::string& dump, const std::string& name) {
    const std::size_t start = dump.find("# " + name + ": ");
    if (start == std::string::npos) {
        return "";
    }
    const std::size_t value = start + name.size() + 4;
    return dump.substr(value, dump.find('\n', value) - value);
}

TEST(Dumps, AreExplainedInOneScreen) {
    int count = 0;
    for (const auto& file : repository::files_below({"tests/unit/tool/explain/dumps"}, {".txt"})) {
        SCOPED_TRACE(file.path);
        const VmcsImage image = read_dump(file.text);
        EXPECT_EQ(broken_ids(image), expectation(file.text, "expect"));
        const std::string unknown = expectation(file.text, "unknown");
        EXPECT_EQ(image.unknown.size(), unknown.empty() ? 0 : std::stoul(unknown));
        const std::string text = text_of(image);
        EXPECT_LE(std::ranges::count(text, '\n'), 45) << text;
        ++count;
    }
    EXPECT_GE(count, 20);
}

// A dump of our own says the same as what it was made from.
TEST(Dumps, OfOursAreReadAgain) {
    for (const auto& file : repository::files_below({"tests/unit/tool/explain/dumps"}, {".txt"})) {
        SCOPED_TRACE(file.path);
        VmcsImage image = read_dump(file.text);
        image.unknown.clear();
        EXPECT_EQ(read_dump(write_dump(image)), image);
    }
}

RC_GTEST_PROP(Dumps, OfAnyFieldsAreReadAgain, ()) {
    VmcsImage image;
    const auto count = *rc::gen::inRange(0, 40);
    for (int i = 0; i < count; ++i) {
        const auto& field =
            vmx::field_facts[*rc::gen::inRange(std::size_t{0}, vmx::field_facts.size())];
        const auto value = *rc::gen::arbitrary<std::uint64_t>();
        image.set({Item::Kind::field, field.encoding},
                  field.bits() == 64 ? value : value & ((1ULL << field.bits()) - 1));
    }
    image.set({Item::Kind::memory, *rc::gen::arbitrary<std::uint64_t>()},
              *rc::gen::arbitrary<std::uint64_t>());
    image.set(vmx::checks::item(vmx::checks::Fact::privilege_level),
              *rc::gen::inRange(std::uint64_t{0}, std::uint64_t{4}));
    RC_ASSERT(read_dump(write_dump(image)) == image);
}

TEST(Dumps, SayWhatTheyDoNotUnderstand) {
    const VmcsImage image =
        read_dump("starting the hypervisor\nGUEST_RIPP = 0x10\nGUEST_CS_SELECTOR = 0x12345\n");
    ASSERT_EQ(image.unknown.size(), 2U);
    EXPECT_EQ(image.unknown[0], (UnknownLine{2, "GUEST_RIPP", "no such field", "GUEST_RIP"}));
    EXPECT_EQ(image.unknown[1].why, "0x12345 does not fit into 16 bits");
    EXPECT_THAT(image.values(), IsEmpty());
}

// An exit reason without a mark: decimal as in the manual, unless the dump's other numbers are
// hexadecimal without a mark. Which one was taken is said, and why.
TEST(Dumps, SayHowTheyReadANumberThatCouldBeBoth) {
    const auto exit_of = [](const std::string& dump) {
        return read_dump(dump).find(vmx::exit_reason.encoding).value_or(0);
    };
    EXPECT_EQ(exit_of("exit_reason 33\nGUEST_RFLAGS 0x0\n"), 33U);
    EXPECT_EQ(exit_of("exit reason: 33\n"), 33U);
    EXPECT_EQ(exit_of("exit_reason 30\nGUEST_RIP fffff80000abcdf8\n"), 0x30U);
    EXPECT_EQ(exit_of("VM_EXIT_REASON = 0x33\n"), 0x33U);
    EXPECT_EQ(exit_of("VM_EXIT_REASON = 00000030\n"), 0x30U);
    EXPECT_EQ(exit_of("VM_EXIT_REASON = 2147483681\n"), 0x8000'0021U);
    EXPECT_EQ(exit_of("VM_EXIT_REASON = 80000021\n"), 0x8000'0021U);
    EXPECT_EQ(exit_of("KVM exit reason: 9\n"), 0U);
    const VmcsImage image = read_dump("exit_reason 33\n");
    ASSERT_EQ(image.notes.size(), 1U);
    EXPECT_THAT(image.notes[0], HasSubstr("33 is taken for decimal 33"));
    EXPECT_THAT(image.notes[0], HasSubstr("33H would be 51, RDTSCP"));
}

// Short words of a log are no fields.
TEST(Dumps, DoNotTakeWordsOfALogForFields) {
    for (const char* const line :
         {"cpu=3", "CPU 3", "VM exit: 5", "vm-entry = 1", "pin: 3", "[ 1.0] exit = 7",
          "VMCS 0000000012345678, last attempted VM-entry on CPU 3"}) {
        EXPECT_THAT(read_dump(line).values(), IsEmpty()) << line;
    }
}

// The example on the first page.
TEST(Explanations, AreAsTheReadmeShowsOne) {
    const std::string text =
        text_of(read_dump(repository::read_file("tests/unit/tool/explain/dumps/few-fields.txt")));
    const std::string shown = text.substr(0, text.find("\n\n270 of 305"));
    EXPECT_THAT(repository::read_file("README.md"), HasSubstr(shown));
}

TEST(Explanations, ShowFieldsBitsRemedyAndPlace) {
    const VmcsImage image = read_dump("GUEST_TR_AR_BYTES = 0x89\nVM_ENTRY_CONTROLS = 0x13ff\n");
    const Judged judged{image, skylake()};
    const std::string text = explanation_text(
        judged, explain_image(judged),
        {.model = "corei7_skylake_x", .where_set = [](Item) { return "driver.cpp:1"; }});
    EXPECT_THAT(text, HasSubstr("3C 26.3.1.2 \"Checks on Guest Segment Registers\""));
    EXPECT_THAT(text, HasSubstr("Guest TR access rights = 0x89  available TSS; DPL 0; present"));
    EXPECT_THAT(text, HasSubstr("wrong: bits 3:0"));
    EXPECT_THAT(text, HasSubstr("set in driver.cpp:1"));
    EXPECT_THAT(text, HasSubstr("89H become 8BH"));
    EXPECT_THAT(text, HasSubstr("rules could not be checked, as the dump lacks"));
    EXPECT_THAT(text, HasSubstr("leaves the order open"));
}

// The processor said that controls and host state were good: then its capabilities are others.
TEST(Explanations, BelieveTheProcessorThatItGotPastTheControls) {
    const std::string dump = "PIN_BASED_VM_EXEC_CONTROL = 0x0\n";
    EXPECT_EQ(broken_ids(read_dump(dump)), "pin-must-be-1");
    const VmcsImage late = read_dump(dump + "VM_EXIT_REASON = 0x80000021\n");
    EXPECT_EQ(broken_ids(late), "");
    EXPECT_THAT(text_of(late), HasSubstr("it is another processor"));
}

TEST(Explanations, AreAContractInJson) {
    const VmcsImage image = read_dump("GUEST_RFLAGS = 0x0\nFOO_BAR = 0x1\n");
    const Judged judged{image, skylake()};
    const Json json = explanation_json(
        judged, explain_image(judged),
        {.model = "corei7_skylake_x", .where_set = [](Item) { return "driver.cpp:1"; }});
    const Json& broken = json.at("broken").at(0);
    EXPECT_EQ(broken.at("id"), "guest-rflags-bit-1");
    EXPECT_EQ(broken.at("section"), "26.3.1.4");
    EXPECT_EQ(broken.at("title"), "Checks on Guest RIP and RFLAGS");
    EXPECT_EQ(broken.at("fields").at(0).at("name"), "Guest RFLAGS");
    EXPECT_EQ(broken.at("fields").at(0).at("encoding"), "0x6820");
    EXPECT_EQ(broken.at("fields").at(0).at("value"), "0x0");
    EXPECT_FALSE(broken.at("sentence").get<std::string>().empty());
    EXPECT_FALSE(broken.at("remedy").get<std::string>().empty());
    EXPECT_FALSE(json.at("unchecked").empty());
    EXPECT_EQ(json.at("unknown").at(0).at("name"), "FOO_BAR");
}

TEST(ExplainNumbers, DecodeEachOption) {
    const auto words = [](std::string ExplainOptions::* option, const char* value) {
        ExplainOptions options;
        options.qualification = "0x182";
        options.*option = value;
        const auto all = meanings(options, skylake());
        return all ? all->front().words + " " + all->front().citation : all.error();
    };
    EXPECT_THAT(words(&ExplainOptions::exit, "48"), HasSubstr("EPT violation"));
    EXPECT_THAT(words(&ExplainOptions::exit, "48"), HasSubstr("write"));
    EXPECT_THAT(words(&ExplainOptions::error, "7"), HasSubstr("invalid control field"));
    EXPECT_THAT(words(&ExplainOptions::controls, "pin=0x0"),
                HasSubstr("breaks pin-must-be-1, as far as corei7_skylake_x goes"));
    EXPECT_THAT(words(&ExplainOptions::controls, "pim=0x0"), HasSubstr("did you mean pin?"));
    EXPECT_THAT(words(&ExplainOptions::field, "0x681e"), HasSubstr("Guest RIP"));
    EXPECT_THAT(words(&ExplainOptions::field, "GUEST_RIPP"), HasSubstr("did you mean GUEST_RIP?"));
    EXPECT_THAT(words(&ExplainOptions::interruption, "0x80000003"),
                HasSubstr("external interrupt"));
    EXPECT_THAT(words(&ExplainOptions::access_rights, "0x89"), HasSubstr("available TSS"));
    EXPECT_THAT(words(&ExplainOptions::ept_entry, "0x7"),
                HasSubstr("table entry     rwx, maps a page"));
    EXPECT_THAT(words(&ExplainOptions::cr4, "0x2000"), HasSubstr("VMXE"));
    EXPECT_THAT(words(&ExplainOptions::cr4, "much"), HasSubstr("this is no number"));
    EXPECT_THAT(words(&ExplainOptions::status, "C0351000"), HasSubstr("STATUS_HV_NOT_PRESENT"));
    EXPECT_THAT(words(&ExplainOptions::exit, "48"), HasSubstr("2022: 25.9.1"));
}

// What the driver notes of a failed entry, and where the stage's sources set the field.
TEST(EntryFailures, OfARunAreExplained) {
    Timeline timeline{100};
    EXPECT_FALSE(explain_entry_failure(timeline, {}, "launch", "corei7_skylake_x", 100));
    Event fields{.t = 1, .from = "driver", .name = "VmcsFields"};
    fields.fields["fields"] = {"0x4400", "0xc", "0x4822", "0x89", "0x4012", "0x13ff"};
    Event failed{.t = 2, .from = "driver", .name = "VmxInstructionFailed"};
    failed.fields = {{"instruction", "VMLAUNCH"}, {"result", "VMfailValid"}, {"error_number", 7}};
    timeline.add(fields);
    timeline.add(failed);
    const Repository repository{.root = repository::repository_root(), .build = {}};
    const auto failure =
        explain_entry_failure(timeline, repository, "launch", "corei7_skylake_x", 100);
    ASSERT_TRUE(failure);
    EXPECT_THAT(failure->text, HasSubstr("VM-instruction error 7"));
    EXPECT_THAT(failure->text, HasSubstr("set in stages/launch/driver.cpp:"));
    EXPECT_THAT(failure->dump, HasSubstr("VM-instruction error = 0x7\n"));
    // The dump is of this processor: `explain` takes it for no other.
    EXPECT_THAT(failure->dump, HasSubstr("IA32_VMX_CR4_FIXED1 = 0x3727ff\n"));
    EXPECT_THAT(failure->dump, HasSubstr("processor: physical-address width = 0x28\n"));
    const Json& broken = failure->json.at("broken").at(0);
    EXPECT_EQ(broken.at("id"), "guest-tr-type");
    // As the text has it.
    EXPECT_THAT(failure->text,
                HasSubstr("set in " + broken.at("set_in").get<std::string>() + "\n"));
    EXPECT_THAT(failure->text,
                HasSubstr("wrong: " + broken.at("wrong_bits_in_words").get<std::string>() + "\n"));
}

// A run's folder and its summary stand for the VMCS that the run recorded.
TEST(EntryFailures, AreFoundInARunsFolderAndBySummary) {
    const TemporaryFolder folder{"explain"};
    const auto path = folder.path();
    const auto explained = [&](const std::string& file) {
        ExplainOptions options;
        options.file = (path / file).string();
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const ExitStatus status = explain(options, {});
        return std::pair{status, testing::internal::GetCapturedStdout() +
                                     testing::internal::GetCapturedStderr()};
    };
    std::ofstream{path / "summary.json"} << R"({"result": "passed"})";
    EXPECT_EQ(explained("").first, ExitStatus::bad_usage);
    EXPECT_THAT(explained("").second, HasSubstr("has no vmcs.txt"));
    std::ofstream{path / "vmcs.txt"} << "Guest RFLAGS = 0x0\n";
    for (const char* const file : {"", "summary.json", "vmcs.txt"}) {
        EXPECT_EQ(explained(file).first, ExitStatus::failed) << file;
        EXPECT_THAT(explained(file).second, HasSubstr("guest-rflags-bit-1")) << file;
    }
}

// From guest-state on the library writes the fields.
TEST(EntryFailures, NameTheLineOfTheLibraryThatSetsAField) {
    const Repository repository{.root = repository::repository_root(), .build = {}};
    constexpr std::uint64_t host_rsp = 0x6C14;
    EXPECT_THAT(where_set({vmx::checks::Item::Kind::field, host_rsp}, repository, "guest-state"),
                testing::StartsWith("hypervisor/vcpu/"));
}

// launch writes each field itself, in its driver.cpp: no file of the library that it does not use.
TEST(EntryFailures, NameNoFileThatTheStageDoesNotUse) {
    const Repository repository{.root = repository::repository_root(), .build = {}};
    std::size_t named = 0;
    for (const auto& field : vmx::field_facts) {
        const std::string where =
            where_set({vmx::checks::Item::Kind::field, field.encoding}, repository, "launch");
        EXPECT_THAT(where, testing::Not(HasSubstr("hypervisor/vcpu"))) << field.name;
        EXPECT_THAT(where, testing::Not(HasSubstr("hypervisor/exits"))) << field.name;
        named += where.empty() ? 0 : 1;
    }
    EXPECT_GT(named, 80U);
}

// The loop over the segments writes each of them.
TEST(EntryFailures, NameTheLoopThatSetsASegment) {
    const Repository repository{.root = repository::repository_root(), .build = {}};
    for (const std::uint64_t rights : {0x4814U, 0x4816U, 0x4822U}) {
        EXPECT_THAT(where_set({vmx::checks::Item::Kind::field, rights}, repository, "launch"),
                    testing::MatchesRegex("stages/launch/driver.cpp:[0-9]+"))
            << rights;
    }
}

TEST(EntryFailures, WithoutAVmcsNeedNoFields) {
    Timeline timeline{100};
    Event failed{.t = 2, .from = "driver", .name = "VmxInstructionFailed"};
    failed.fields = {{"instruction", "VMLAUNCH"}, {"result", "VMfailInvalid"}};
    timeline.add(failed);
    const auto failure = explain_entry_failure(timeline, {}, "", "corei7_skylake_x", 100);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->json.at("broken").size(), 1U);
    EXPECT_EQ(failure->json.at("broken").at(0).at("id"), "basic-current-vmcs");
}

}  // namespace
}  // namespace hvp::tool
