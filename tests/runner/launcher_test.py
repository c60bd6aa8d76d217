"""./playground, the script: its help, and what it does with a build folder that is not its own.

It runs in a copy of the repository that has nothing but the script and the help; every program
that it starts is replaced by one that notes that it was started. With an argument, the folder of
the build, also whether the help is what the tool says.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HELP = ROOT / "tool/cli/help"
BUILD = None

PROGRAMS = ("bochs-bin", "nasm", "clang++-19", "lld-link-19", "llvm-symbolizer-19", "ninja", "cmake",
            "dpkg-query", "apt-get", "sudo")

FAKE = r"""#!/bin/bash
name=${0##*/}
echo "$name" >>"$LOG"
case $name in
    dpkg-query) for package in "${@:4}"; do echo "$package installed"; done ;;
    cmake)
        printf 'CMAKE_HOME_DIRECTORY:INTERNAL=%s\nCMAKE_CACHEFILE_DIR:INTERNAL=%s\n' "$2" "$4" \
            >"$4/CMakeCache.txt"
        echo 'CMAKE_GENERATOR:INTERNAL=Ninja' >>"$4/CMakeCache.txt"
        touch "$4/build.ninja" ;;
    ninja)
        mkdir -p "$2/bin"
        printf '#!/bin/bash\necho built\n' >"$2/bin/hvp"
        chmod +x "$2/bin/hvp" ;;
esac
"""


class Launcher(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hvp-test-")
        self.addCleanup(folder.cleanup)
        base = pathlib.Path(folder.name).resolve()
        self.root = base / "checkout"
        self.log = base / "log"
        self.log.touch()
        self.programs = base / "programs"
        self.programs.mkdir()
        for name in PROGRAMS:
            (self.programs / name).write_text(FAKE)
            (self.programs / name).chmod(0o755)
        (self.root / "tool/cli").mkdir(parents=True)
        shutil.copy(ROOT / "playground", self.root)
        shutil.copytree(HELP, self.root / "tool/cli/help")

    def run_script(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.root / "playground", *arguments], capture_output=True, text=True, check=False,
            env={"PATH": f"{self.programs}:/usr/bin:/bin", "LOG": str(self.log)})

    def started(self) -> list[str]:
        names = self.log.read_text().split()
        self.log.write_text("")
        return names

    def expect_built_anew(self, why: str):
        (self.root / "build/old.o").touch()
        ended = self.run_script("list")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(ended.stdout, "built\n")
        self.assertEqual([line for line in ended.stderr.splitlines() if "anew" in line],
                         [f"build/ {why}: building anew"])
        self.assertEqual(self.started(), ["cmake", "ninja"])
        self.assertFalse((self.root / "build/old.o").exists())


class Help(Launcher):
    def test_needs_no_build_and_writes_nothing(self):
        before = sorted(self.root.rglob("*"))
        for arguments, text in (([], "playground"), (["--help"], "playground"), (["-h"], "playground"),
                                (["run", "--help"], "run"), (["run", "-h", "launch"], "run"),
                                (["explain", "dump.txt", "--help"], "explain"),
                                (["test", "--help"], "test"), (["rnu", "--help"], "playground")):
            ended = self.run_script(*arguments)
            self.assertEqual(ended.returncode, 0, ended.stderr)
            self.assertEqual(ended.stdout, (HELP / f"{text}.txt").read_text(), arguments)
            self.assertEqual(ended.stderr, "")
        self.assertEqual(sorted(self.root.rglob("*")), before)
        self.assertEqual(self.started(), [])

    def test_is_what_the_tool_says(self):
        if BUILD is None:
            self.skipTest("no build folder was given")
        with tempfile.TemporaryDirectory(prefix="hvp-test-") as name:
            folder = pathlib.Path(name)
            subprocess.run([HELP / "update", ROOT, BUILD, folder], check=True)
            said = {path.name: path.read_text() for path in folder.iterdir()}
        kept = {path.name: path.read_text() for path in HELP.glob("*.txt")}
        self.assertEqual(kept, said, f"run: {HELP}/update {ROOT} {BUILD}")


class BuildFolder(Launcher):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.run_script("list").returncode, 0)
        self.started()

    def cache(self) -> pathlib.Path:
        return self.root / "build/CMakeCache.txt"

    def change(self, old: str, new: str):
        self.cache().write_text(self.cache().read_text().replace(old, new))

    def test_of_its_own_is_used_again(self):
        ended = self.run_script("list")
        self.assertEqual((ended.stdout, ended.stderr), ("built\n", ""))
        self.assertEqual(self.started(), ["ninja"])

    def test_that_was_moved_is_built_anew(self):
        old = self.root
        self.root = old.with_name("moved")
        old.rename(self.root)
        self.expect_built_anew(f"was made in {old}")

    def test_that_was_copied_is_built_anew(self):
        self.change(f"DIR:INTERNAL={self.root}/build", "DIR:INTERNAL=/elsewhere/build")
        self.expect_built_anew("was made in /elsewhere/build")

    def test_of_another_generator_is_built_anew(self):
        self.change("=Ninja", "=Unix Makefiles")
        self.expect_built_anew("was made for Unix Makefiles")

    def test_that_is_not_complete_is_built_anew(self):
        (self.root / "build/build.ninja").unlink()
        self.expect_built_anew("was not configured to the end")
        self.cache().write_text("")
        self.expect_built_anew("is only half there")
        self.cache().unlink()
        self.expect_built_anew("is only half there")


if __name__ == "__main__":
    if len(sys.argv) > 1 and pathlib.Path(sys.argv[1]).is_dir():
        BUILD = pathlib.Path(sys.argv.pop(1))
    unittest.main()
