"""A copy of the repository, with a build folder of its own, in which mutations are tried."""
import filecmp
import os
import pathlib
import shutil
import subprocess


class Failed(Exception):
    """What went wrong with the copy, as a sentence about it."""


def _files_below(folder: str, leave_out: tuple[str, ...] = ()) -> dict[str, os.stat_result]:
    """The regular files below `folder`, relative to it. Not the links: tests make them for themselves."""
    found = {}
    below = [""]
    while below:
        part = below.pop()
        with os.scandir(os.path.join(folder, part)) as entries:
            for entry in entries:
                name = part + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name not in leave_out:
                        below.append(name + "/")
                elif entry.is_file(follow_symlinks=False):
                    found[name] = entry.stat()
    return found


def _run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          **options)


class TreeCopy:
    """The copy stays between mutations and between calls of the runner."""

    def __init__(self, root: pathlib.Path, build: pathlib.Path, name: str):
        self.root = root
        self.tree = build / "mutations" / name
        self.build_folder = self.tree / "build"
        self.kept = build / "mutations" / f"{name}-kept"
        self.kept_files: dict[str, os.stat_result] = {}
        # Compiled as the original was, with one cache for all (cmake/compile).
        self.environment = {"CCACHE_DIR": str(build / "ccache"), "HVP_STRICT": "1"} | os.environ

    def _original_files(self) -> list[str]:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], cwd=self.root, capture_output=True,
                                text=True, check=False)
        if listed.returncode == 0:
            return [name for name in listed.stdout.split("\0") if (self.root / name).is_file()]
        # Not a git repository: an unpacked archive.
        return list(_files_below(str(self.root), ("build", "runs")))

    def refresh(self) -> None:
        """Makes the copy as the original is. Equal files keep their time: nothing is built again without
        need."""
        wanted = self._original_files()
        for name in wanted:
            source, target = self.root / name, self.tree / name
            if not target.exists() or not filecmp.cmp(source, target, shallow=False):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        for name in _files_below(str(self.tree), ("build", "runs")).keys() - set(wanted):
            (self.tree / name).unlink()
        # As ./playground does it.
        configured = _run(["cmake", "-S", str(self.tree), "-B", str(self.build_folder), "-G", "Ninja",
                           "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_COMPILER=clang++-19",
                           "-DCMAKE_ASM_COMPILER=clang-19"], env=self.environment)
        if configured.returncode != 0:
            raise Failed("cannot be configured:\n" + configured.stdout)

    def build(self, targets: list[str]) -> None:
        built = _run(["ninja", "-C", str(self.build_folder), "-j2", *targets], env=self.environment)
        if built.returncode != 0:
            raise Failed("does not build:\n" + built.stdout)

    def _copy(self, name: str, from_folder: pathlib.Path, to_folder: pathlib.Path) -> None:
        target = to_folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(from_folder / name, target)

    def keep(self) -> None:
        """Remembers the copy as it is now, with all that is built."""
        self.kept.mkdir(parents=True, exist_ok=True)
        kept = _files_below(str(self.kept))
        self.kept_files = _files_below(str(self.tree))
        for name in kept.keys() - self.kept_files.keys():
            (self.kept / name).unlink()
        for name in self._differing(kept):
            self._copy(name, self.tree, self.kept)

    def restore(self) -> None:
        """Makes the copy as it was kept, and by the files' times, too: nothing is built again."""
        now = _files_below(str(self.tree))
        for name in now.keys() - self.kept_files.keys():
            (self.tree / name).unlink()
        for name in self._differing(now):
            self._copy(name, self.kept, self.tree)

    def _differing(self, files: dict[str, os.stat_result]) -> list[str]:
        """The kept files that `files` has not, or with another time or size."""
        def key(stat: os.stat_result | None):
            return stat and (stat.st_mtime_ns, stat.st_size)
        return [name for name, stat in self.kept_files.items() if key(files.get(name)) != key(stat)]

    def tests_pass(self, tests: str) -> bool:
        """`tests` is a regular expression over names, as ctest takes it."""
        return _run(["ctest", "--test-dir", str(self.build_folder), "-j2", "--no-tests=error", "-R",
                     tests]).returncode == 0

    def list_of_tests(self) -> str:
        return _run(["ctest", "--test-dir", str(self.build_folder), "--show-only"]).stdout
