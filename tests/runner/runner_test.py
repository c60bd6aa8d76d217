"""The runner of tests, on what ctest and people write, and on a repository of three files."""
import pathlib
import subprocess
import tempfile
import textwrap
import unittest

import ctest
import mutation

HERE = pathlib.Path(__file__).resolve().parent

# As ctest 3.25 begins its report.
REPORT = ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="(empty)"\n\ttests="393"\n'
          '\tfailures="3"\n\tdisabled="1"\n\tskipped="2"\n\thostname=""\n\t>\n'
          '\t<testcase name="A" classname="A" tests="7"/>\n')


def case_with_output(output: str) -> str:
    return f'\t<testcase name="B" classname="B">\n\t\t<system-out>{output}</system-out>\n\t</testcase>\n'


class Report(unittest.TestCase):
    def test_counts_what_passed_and_what_did_not(self):
        self.assertEqual(ctest.count(REPORT), (387, 5))

    def test_a_program_counts_as_the_tests_in_it(self):
        one = case_with_output("[  PASSED  ] 1 test.\n")
        many = case_with_output("[==========] 148 tests from 20 test suites ran.\n"
                                "[  PASSED  ] 148 tests.\n")
        some = case_with_output("[  FAILED  ] A.Is (0 ms)\n[  PASSED  ] 40 tests.\n"
                                "[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] A.Is\n")
        skipped = case_with_output("[  PASSED  ] 3 tests.\n[  SKIPPED ] 2 tests, listed below:\n")
        self.assertEqual(ctest.count(REPORT + one), (387, 5))
        self.assertEqual(ctest.count(REPORT + one + many), (387 + 147, 5))
        self.assertEqual(ctest.count(REPORT + many + some), (387 + 147 + 40, 5 + 1))
        self.assertEqual(ctest.count(REPORT + skipped), (387 + 2, 5 + 2))

    def test_no_report_is_no_success(self):
        self.assertEqual(ctest.count(""), (0, 0))
        self.assertEqual(ctest.count("<testsuite"), (0, 0))


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hvp-test-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, name: str, text: str) -> pathlib.Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path


class Changes(InAFolder):
    SOURCE = """\
        int answer() {
            if (asked) {
                count();
            }
            return 42;
        }

        int other() {
            count();
        }
        """

    def changed(self, changes: str) -> str:
        source = self.write("a.cpp", self.SOURCE)
        made = self.write("a.mutation", "A lie.\nTest: A\nBuild: a\n\nFile: a.cpp\n" + changes)
        mutation.apply(mutation.read(made), self.root)
        return source.read_text()

    def unfit(self, changes: str) -> str:
        with self.assertRaises(mutation.Unfit) as caught:
            self.changed(changes)
        self.assertEqual((self.root / "a.cpp").read_text(), textwrap.dedent(self.SOURCE))
        return str(caught.exception)

    def test_of_one_line(self):
        self.assertIn("}\n    return 41;\n}\n", self.changed("- return 42;\n+ return 41;\n"))

    def test_of_several_places_and_lines(self):
        self.assertEqual(self.changed("- if (asked) {\n- count();\n- }\n\n"
                                      "- return 42;\n+ if (late) {\n+     return 0;\n+ }\n\n"
                                      "- int other() {\n- count();\n+ int other() {\n"),
                         "int answer() {\n    if (late) {\n        return 0;\n    }\n}\n\n"
                         "int other() {\n}\n")

    def test_has_a_head(self):
        path = self.write("a.mutation", "A lie: a bad one.\nTest: A.b\nTest: C/d\nNeeds: e\nBuild: f\n\n"
                          "File: a\n- x\n")
        read = mutation.read(path)
        self.assertEqual(read.head("Test"), ["A.b", "C/d"])
        self.assertEqual((read.head("Needs"), read.head("Build")), (["e"], ["f"]))
        self.assertEqual(read.files, ["a"])

    def test_must_fit_one_place(self):
        self.assertIn('"return 43;" is not in a.cpp', self.unfit("- return 43;\n+ return 41;\n"))
        self.assertIn('"count();" is 2 times in a.cpp', self.unfit("- count();\n"))
        self.assertIn("not in a.cpp", self.unfit("- return 42;\n\n- return 43;\n"))
        self.assertIn("there is no b.cpp", self.unfit("- return 42;\n\nFile: b.cpp\n- a\n+ b\n"))

    def test_must_be_some(self):
        self.assertEqual(self.unfit(""), "changes nothing")
        self.assertIn("line 6 adds something, but replaces nothing", self.unfit("+ return 41;\n"))
        self.assertIn("line 6 begins with neither", self.unfit("return 41;\n"))


class Mutations(InAFolder):
    def setUp(self):
        super().setUp()
        self.write("CMakeLists.txt", """\
            cmake_minimum_required(VERSION 3.25)
            project(small NONE)
            enable_testing()
            add_custom_target(nothing)
            add_custom_target(broken COMMAND grep -q right ${CMAKE_SOURCE_DIR}/answer)
            add_custom_target(first ALL COMMAND cp ${CMAKE_SOURCE_DIR}/answer first)
            add_test(NAME answer.is_the_first COMMAND cmp answer ${CMAKE_BINARY_DIR}/first)
            add_test(NAME answer.is_right COMMAND grep -q right answer)
            add_test(NAME lab.answer_is_right COMMAND grep -q right answer)
            add_test(NAME answer.exists COMMAND test -e answer)
            set_tests_properties(answer.is_right answer.exists answer.is_the_first
                lab.answer_is_right PROPERTIES WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
            """)
        self.write("answer", "right\n")

    def mutation(self, name: str, head: str, was: str = "right") -> None:
        """A mutation with this head; it changes the answer from `was` to "wrong"."""
        self.write(f"tests/mutations/{name}.mutation",
                   f"A wrong answer.\n{head}\n\nFile: answer\n- {was}\n+ wrong\n")

    def run_tests(self, *arguments: str) -> tuple[int, str]:
        ended = subprocess.run([HERE / "run", self.root, self.root / "build", *arguments],
                               capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout

    def build(self) -> None:
        for command in (["cmake", "-G", "Ninja", "-S", self.root, "-B", self.root / "build"],
                        ["ninja", "-C", self.root / "build"]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def test_are_noticed_by_the_tests_that_they_name(self):
        self.mutation("room/good", "Test: answer.is_right\nBuild: nothing")
        status, output = self.run_tests("--mutations")
        self.assertEqual(status, 0, output)
        self.assertIn("noticed   room/good (", output)
        self.assertIn("\n1 passed, 0 failed\n", output)
        self.assertEqual((self.root / "answer").read_text(), "right\n", "only the copy was changed")
        self.assertEqual(self.run_tests("--mutations")[0], 0, "the copy is as it was, for the next time")

    def test_that_nothing_notices_fail(self):
        self.mutation("good", "Test: answer.is_right\nBuild: nothing")
        self.mutation("missed", "Test: answer.exists\nBuild: nothing")
        self.mutation("old", "Test: answer.is_right\nBuild: nothing", "left")
        self.mutation("silent", "Build: nothing")
        self.mutation("unbuilt", "Test: answer.is_right\nBuild: broken")
        # `broken` builds without the mutation, so it is the mutation that does not build.
        status, output = self.run_tests("--mutations")
        self.assertEqual(status, 1)
        self.assertIn("noticed   good (", output)
        self.assertIn("MISSED    missed: nothing noticed it: answer.exists still passes\n", output)
        self.assertIn('MISSED    old: does not fit any more: "left" is not in answer\n', output)
        self.assertIn("MISSED    silent: names no test, or no target to build\n", output)
        self.assertIn("MISSED    unbuilt: does not build", output)
        self.assertIn("1 passed, 4 failed\n", output)

    def test_build_what_their_tests_need_before_the_change_only(self):
        # Else each change of a header would compile the programs of all tests that include it.
        self.mutation("after", "Test: answer.is_the_first\nBuild: first")
        self.mutation("before", "Test: answer.is_the_first\nNeeds: first\nBuild: nothing")
        _, output = self.run_tests("--mutations")
        self.assertIn("MISSED    after: nothing noticed it", output)
        self.assertIn("noticed   before (", output)

    def test_need_tests_that_pass_without_them(self):
        self.mutation("good", "Test: answer.is_right\nBuild: nothing")
        self.write("answer", "left\n")
        status, output = self.run_tests("--mutations", "good")
        self.assertEqual(status, 1)
        self.assertIn("does not pass answer.is_right without any mutation", output)

    def test_need_tests_that_exist(self):
        self.mutation("good", "Test: answer.is_tight\nBuild: nothing")
        self.assertIn("has no test answer.is_tight", self.run_tests("--mutations")[1])

    def test_come_after_the_other_tests(self):
        self.mutation("good", "Test: answer.is_right\nBuild: nothing")
        self.build()
        status, output = self.run_tests("--all")
        self.assertEqual(status, 0, output)
        self.assertIn("5 passed, 0 failed\n", output)
        self.assertIn("4 passed, 0 failed\n", self.run_tests()[1])
        self.assertIn("1 passed, 0 failed\n", self.run_tests("exists")[1])
        self.assertEqual(self.run_tests("no.such(test")[0], 1)

    def test_on_lab_level_are_tried_by_thirds(self):
        self.mutation("unit", "Test: answer.is_right\nBuild: nothing")
        for number in range(6):
            self.mutation(f"lab-{number}", "Test: lab.answer_is_right\nBuild: nothing")
        self.write(".gitignore", "/build\n")
        for command in (["init", "-q"], ["add", "."],
                        ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "-m", "first"]):
            subprocess.run(["git", "-C", self.root, *command], check=True)
        self.build()
        status, output = self.run_tests("--all")
        self.assertEqual(status, 0, output)
        self.assertIn("mutations: all 1 on unit level; of the 6 on lab level, part ", output)
        self.assertIn(f"{4 + 1 + 2} passed, 0 failed\n", output)
        self.assertIn("7 passed, 0 failed\n", self.run_tests("--mutations")[1])


class Usage(unittest.TestCase):
    def test_that_is_wrong_ends_with_status_2_and_one_line_that_helps(self):
        for arguments, help_ in ((["--al"], "unknown option --al; did you mean --all?"),
                                 (["exits", "--mutation"], "did you mean --mutations?"),
                                 (["--xyzzy"], "./playground test --help"),
                                 (["--long", "--quick"], "exclude each other")):
            ended = subprocess.run([HERE / "run", "/", "CHECK", *arguments], capture_output=True,
                                   text=True, check=False)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr.count("\n")), (2, "", 1))
            self.assertIn(help_, ended.stderr)

    def test_that_cannot_be_shown_is_a_failure_with_a_sentence(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ended = subprocess.run([HERE / "run", "/", "CHECK", "--help"], stdout=full, check=False,
                                   stderr=subprocess.PIPE, text=True)
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr, "playground: standard output cannot be written: "
                                       "No space left on device\n")

    def test_that_is_right_goes_on(self):
        for arguments in ([], ["--quick", "launch", "--all"], ["--long"], ["--mutations", "ept"]):
            subprocess.run([HERE / "run", "/", "CHECK", *arguments], check=True)


if __name__ == "__main__":
    unittest.main()
