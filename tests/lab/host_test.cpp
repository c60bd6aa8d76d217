// Hosts that lack something, and terminals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

// Replaces the emulator by another program.
void fake_emulator(Playground& playground, std::string_view script) {
    const auto path = playground.write("bochs-bin", script);
    chmod(path.c_str(), 0755);
    playground.set("PATH", playground.folder().string() + ":/usr/bin:/bin");
}

TEST(Host, WithoutAnEmulatorSaysWhatToInstall) {
    Playground playground;
    playground.set("PATH", playground.folder());
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 3);
    EXPECT_THAT(answer.errors, HasSubstr("apt-get install bochs"));
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
}

TEST(Host, WithAnotherEmulatorSaysWhichOneItNeeds) {
    Playground playground;
    fake_emulator(playground,
                  "#!/bin/sh\n"
                  "echo '00000000000i[      ] Bochs x86 Emulator 3.0' >&9\n"
                  "exec sleep 100\n");
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("the emulator is Bochs 3.0"));
    EXPECT_THAT(answer.errors, HasSubstr("Bochs 2.7"));
    EXPECT_EQ(playground.processes(), 0U);
}

TEST(Host, AnEmulatorThatEndsAtOnceIsNoSuccess) {
    Playground playground;
    fake_emulator(playground, "#!/bin/sh\necho cannot do it\nexit 1\n");
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("the emulator ended before the lab did"));
    EXPECT_THAT(playground.file("console.log"), HasSubstr("cannot do it"));
}

TEST(Host, AnEmulatorThatCrashesIsNamed) {
    Playground playground;
    fake_emulator(playground, "#!/bin/sh\nkill -SEGV $$\n");
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("signal 11"));
}

TEST(FullDisk, IsOneClearLine) {
    // Below the size of the memory image, then below that of the log.
    for (const unsigned kibibytes : {1U, 64U, 1024U}) {
        Playground playground;
        playground.limit_files(kibibytes);
        playground.set("LLVM_PROFILE_FILE", "/dev/null");  // its counters are too large as well
        const Answer answer = playground({"run", "--keep"});
        EXPECT_EQ(answer.status, 1) << kibibytes;
        EXPECT_THAT(answer.errors, HasSubstr("cannot write ")) << kibibytes;
        EXPECT_THAT(answer.errors, HasSubstr("File too large")) << kibibytes;
        EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
        EXPECT_EQ(playground.processes(), 0U);
    }
}

TEST(FullDisk, AFolderThatCannotBeMadeIsOneClearLine) {
    Playground playground;
    playground.write("file", "");
    playground.set("HVP_RUNS", playground.folder() / "file" / "runs");
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 1);
    EXPECT_THAT(answer.errors, HasSubstr("cannot make the folder"));
    EXPECT_EQ(answer.error_lines(), 1U) << answer.errors;
}

constexpr char escape = '\033';

TEST(Terminal, HasColours) {
    Playground playground;
    playground.use_terminal(100);
    playground.set("TERM", "xterm-256color");
    EXPECT_TRUE(playground({"run"}).output.contains(escape));
    EXPECT_FALSE(playground.file("story.txt").contains(escape));
}

TEST(Terminal, HasNoColoursWithNoColor) {
    Playground playground;
    playground.use_terminal(100);
    playground.set("TERM", "xterm-256color");
    playground.set("NO_COLOR", "1");
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 0);
    EXPECT_FALSE(answer.output.contains(escape));
}

TEST(Terminal, APipeHasNoColours) {
    Playground playground;
    EXPECT_FALSE(playground({"run"}).output.contains(escape));
}

TEST(Terminal, NarrowOnesGetNarrowStories) {
    Playground playground;
    playground.use_terminal(50);
    playground.set("NO_COLOR", "1");
    const Answer answer = playground({"run"});
    EXPECT_EQ(answer.status, 0);
    std::istringstream lines{answer.output};
    std::string line;
    std::getline(lines, line);  // the head is one line whatever the width
    while (std::getline(lines, line) && !line.starts_with("passed")) {
        EXPECT_LE(line.size(), 50U) << line;
    }
}

}  // namespace
}  // namespace hvp::tests
