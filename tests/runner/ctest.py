"""Runs the tests with ctest, and counts them by its report."""
import os
import pathlib
import re
import subprocess
from typing import NamedTuple


class Counts(NamedTuple):
    passed: int
    failed: int

    def plus(self, other: "Counts") -> "Counts":
        return Counts(self.passed + other.passed, self.failed + other.failed)


def _attribute(element: str, name: str) -> int:
    found = re.search(rf'\s{name}="(\d+)', element)
    return int(found[1]) if found else 0


def _tests_after(output: str, mark: str) -> int:
    # `[  FAILED  ] ` also stands before the names of single tests.
    found = re.search(re.escape(mark) + r" (\d+) test", output)
    return int(found[1]) if found else 0


def count(report: str) -> Counts:
    """The counts in ctest's JUnit report.

    A GoogleTest program counts as the tests that it says it has run. Tests that were skipped count as
    failed: nobody has seen them pass.
    """
    element = report[report.find("<testsuite"):].split(">")[0] if "<testsuite" in report else ""
    failed = _attribute(element, "failures") + _attribute(element, "skipped")
    passed = max(0, _attribute(element, "tests") - failed - _attribute(element, "disabled"))
    for case in report.split("<testcase ")[1:]:
        inside_passed = _tests_after(case, "[  PASSED  ]")
        inside_failed = _tests_after(case, "[  FAILED  ]")
        inside_skipped = _tests_after(case, "[  SKIPPED ]")
        if inside_passed + inside_failed + inside_skipped > 0:
            # The program itself is among the tests of the first element, as one.
            program_failed = inside_failed > 0
            passed += inside_passed - (not program_failed)
            failed += inside_failed + inside_skipped - program_failed
    return Counts(passed, failed)


def _show_coverage(summary: pathlib.Path) -> None:
    """What tests/coverage has found, if it was among the tests: a line for each part of the sources."""
    if summary.exists():
        for line in summary.read_text().splitlines():
            if " lines  in " in line:
                print("coverage:", line, flush=True)


def run(build: pathlib.Path, filters: list[str], environment: dict[str, str]) -> Counts:
    report = build / "tests.xml"
    coverage = build / "coverage" / "summary.txt"
    report.unlink(missing_ok=True)
    coverage.unlink(missing_ok=True)
    # One more than there are processors: tests also wait, for emulators that are silent or stopped.
    # Of a long output the report keeps the end, where the tests of a program are counted.
    command = ["ctest", "--test-dir", str(build), f"-j{(os.cpu_count() or 1) + 1}",
               "--output-on-failure", "--progress", "--no-tests=error",
               "--output-junit", str(report), "--test-output-truncation", "head"]
    # Of programs with many tests, all of them in one process (cmake/hosted.cmake), but for a filter.
    # ctest takes names as regular expressions; ours are plain words.
    command += ["-R", "|".join(map(re.escape, filters))] if filters else ["-LE", "^single$"]
    status = subprocess.run(command, env=os.environ | environment, check=False).returncode
    _show_coverage(coverage)
    counts = count(report.read_text(errors="replace") if report.exists() else "")
    # ctest itself may be unhappy: for example, no test has such a name.
    return Counts(counts.passed, 1) if status != 0 and counts.failed == 0 else counts
