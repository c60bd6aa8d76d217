"""Tries mutations: each is made in a copy of the tree, which is built, and its tests must fail there."""
import hashlib
import pathlib
import re
import subprocess
import threading
import time

import mutation
from ctest import Counts
from mutation import Mutation, Unfit
from tree_copy import Failed, TreeCopy

PARTS = 3  # on lab level, a commit tries one of so many


def _is_on_lab_level(tried: Mutation) -> bool:
    return any(test.startswith(("lab.", "wine.")) for test in tried.head("Test"))


def _chosen(all_of_them: dict[str, Mutation], root: pathlib.Path) -> dict[str, Mutation]:
    """Those on unit level, and the part of the others that is this commit's; says which."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True,
                          check=False)
    if head.returncode != 0:
        return all_of_them  # no repository, no commit
    commit = head.stdout.strip()
    part = int(hashlib.sha256(commit.encode()).hexdigest(), 16) % PARTS
    lab_level = [name for name, tried in all_of_them.items() if _is_on_lab_level(tried)]
    chosen = set(lab_level[part::PARTS])
    print(f"mutations: all {len(all_of_them) - len(lab_level)} on unit level; of the {len(lab_level)} "
          f"on lab level, part {part + 1} of {PARTS}, chosen by the commit {commit[:9]}: "
          f"{len(chosen)}; --mutations tries all")
    return {name: tried for name, tried in all_of_them.items()
            if name in chosen or name not in lab_level}


def _read_all(folder: pathlib.Path, filters: list[str]) -> tuple[dict[str, Mutation], dict[str, str]]:
    """The mutations by their names, and what is wrong with those that cannot be read."""
    read, unreadable = {}, {}
    for path in sorted(folder.rglob("*.mutation")):
        name = str(path.relative_to(folder).with_suffix(""))
        if filters and not any(word in name for word in filters):
            continue
        try:
            read[name] = mutation.read(path)
            if not read[name].head("Test") or not read[name].head("Build"):
                raise Unfit("names no test, or no target to build")
        except Unfit as why:
            read.pop(name, None)
            unreadable[name] = str(why)
    return read, unreadable


def _prepare(copy: TreeCopy, mutations: list[Mutation]) -> None:
    """Brings the copy to the state of the original, with all built that the mutations need."""
    copy.refresh()
    copy.build(sorted({target for tried in mutations for key in ("Build", "Needs")
                       for target in tried.head(key)}))
    copy.keep()


def _check_without_mutation(copy: TreeCopy, mutations: list[Mutation]) -> None:
    """A test that fails without any mutation would prove nothing."""
    tests = sorted({test for tried in mutations for test in tried.head("Test")})
    there = copy.list_of_tests()
    for test in tests:
        if not re.search(test, there):
            raise Failed(f"has no test {test}")
    if not copy.tests_pass("|".join(tests)):
        failed = next((test for test in tests if not copy.tests_pass(test)), "a test")
        raise Failed(f"does not pass {failed} without any mutation")


def _judge(copy: TreeCopy, tried: Mutation) -> str:
    """Empty when each named test turned red; else what went wrong."""
    try:
        mutation.apply(tried, copy.tree)
        copy.build(tried.head("Build"))
    except (Unfit, Failed) as why:
        return str(why)
    passing = next((test for test in tried.head("Test") if copy.tests_pass(test)), "")
    return f"nothing noticed it: {passing} still passes" if passing else ""


class _Verdicts:
    def __init__(self):
        self.lock = threading.Lock()
        self.noticed = self.missed = 0

    def add(self, name: str, complaint: str, seconds: float = 0) -> None:
        with self.lock:
            print(f"MISSED    {name}: {complaint}" if complaint
                  else f"noticed   {name} ({seconds:.1f} s)", flush=True)
            if complaint:
                self.missed += 1
            else:
                self.noticed += 1


def _on_each(copies: list[TreeCopy], work) -> None:
    """Calls `work` for all copies at once; the first error of any is raised here."""
    errors = []

    def one(copy):
        try:
            work(copy)
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=one, args=(copy,), daemon=True) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def run(root: pathlib.Path, build: pathlib.Path, filters: list[str], all_of_them: bool) -> Counts:
    mutations, unreadable = _read_all(root / "tests" / "mutations", filters)
    verdicts = _Verdicts()
    for name, why in unreadable.items():
        verdicts.add(name, why)
    if not all_of_them and not filters:
        mutations = _chosen(mutations, root)
    if not mutations:
        return Counts(verdicts.noticed, verdicts.missed)
    print(f"mutations: {len(mutations)}; building two copies of the tree", flush=True)
    # Two at once: while one links or runs a single test, the other uses the second processor.
    copies = [TreeCopy(root, build, name) for name in ("1", "2")]
    tried = list(mutations.values())
    try:
        begin = time.monotonic()
        _on_each(copies, lambda copy: _prepare(copy, tried))
        _check_without_mutation(copies[0], tried)
        print(f"mutations: the copies are built and pass ({time.monotonic() - begin:.0f} s)", flush=True)
    except Failed as why:
        print("mutations: the copy", why, flush=True)
        return Counts(verdicts.noticed, verdicts.missed + len(mutations))
    left = iter(mutations.items())  # each copy takes the next one that is left
    taking = threading.Lock()

    def judge_what_is_left(copy: TreeCopy) -> None:
        while True:
            with taking:
                name, one = next(left, ("", None))
            if one is None:
                return
            begin = time.monotonic()
            complaint = _judge(copy, one)
            copy.restore()
            verdicts.add(name, complaint, time.monotonic() - begin)
    _on_each(copies, judge_what_is_left)
    return Counts(verdicts.noticed, verdicts.missed)
