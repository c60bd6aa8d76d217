"""A mutation: a wrong change to the sources, in a file of its own.

    One sentence that says what is wrong.
    Test: Citations.NameSectionsThatExist
    Build: repository_tests

    File: hypervisor/vmx/basic.hpp
    - a line that is there
    + the line in its place

The head names the tests that must fail (`Test:`), what they need built after the change (`Build:`)
and before it only (`Needs:`). A change is one or more lines with `-`, then the lines with `+` that
replace them, if any; a blank line ends it. Lines with `-` must be found in exactly one place of the
file, whatever their indentation and where they are broken; the new ones are indented as the first
of them is there. So a mutation still fits when code around it changes or moves.
"""
import dataclasses
import pathlib
import re


class Unfit(Exception):
    """The mutation says nothing useful, or does not fit the sources; the text says why."""


@dataclasses.dataclass
class Change:
    file: str
    old: list[str] = dataclasses.field(default_factory=list)
    new: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Mutation:
    heads: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    changes: list[Change] = dataclasses.field(default_factory=list)

    def head(self, key: str) -> list[str]:
        return [value for name, value in self.heads if name == key]

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(change.file for change in self.changes))


def read(path: pathlib.Path) -> Mutation:
    mutation = Mutation()
    file = ""
    change = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        sign, text = line[:1], line[2:]
        if line.startswith("File: "):
            file, change = line.removeprefix("File: "), None
        elif not file:
            if found := re.fullmatch(r"([A-Z][a-z]+): (.+)", line):
                mutation.heads.append((found[1], found[2]))
        elif not line:
            change = None
        elif sign in "-+" and line[1:2] in ("", " "):
            # A `-` after a `+` begins the next change, with a blank line before it or without.
            if sign == "-" and (change is None or change.new):
                change = Change(file)
                mutation.changes.append(change)
            if change is None:
                raise Unfit(f"line {number} adds something, but replaces nothing")
            (change.old if sign == "-" else change.new).append(text)
        else:
            raise Unfit(f'line {number} begins with neither "- " nor "+ "')
    if not mutation.changes:
        raise Unfit("changes nothing")
    return mutation


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _bare(lines: list[str]) -> str:
    return "".join("".join(lines).split())


def _place(lines: list[str], change: Change) -> range:
    """The lines that the change replaces: as many as it has, or fewer or more where they are broken
    elsewhere."""
    old = _bare(change.old)
    bare = [_bare([line]) for line in lines]
    places = []
    for first in range(len(lines)):
        end, text = first, ""
        while end < len(lines) and len(text) < len(old) and old.startswith(text):
            text += bare[end]
            end += 1
        if text == old and bare[first]:
            places.append(range(first, end))
    if len(places) != 1:
        there = f"{len(places)} times" if places else "not"
        raise Unfit(f'does not fit any more: "{change.old[0].strip()}" is {there} in {change.file}')
    return places[0]


def _in_place(change: Change, first: str) -> list[str]:
    """The new lines, indented as the first one that they replace is in the file."""
    shift = _indentation(first) - _indentation(change.old[0])
    return [" " * max(0, _indentation(line) + shift) + line.strip() if line.strip() else ""
            for line in change.new]


def apply(mutation: Mutation, tree: pathlib.Path) -> None:
    """Makes the changes in the files of `tree`, all of them or none."""
    texts = {}
    for file in mutation.files:
        try:
            lines = (tree / file).read_text().split("\n")
        except OSError:
            raise Unfit(f"does not fit any more: there is no {file}") from None
        # All places are looked for in the file as it was, and changed from its end.
        placed = sorted(((_place(lines, change), change) for change in mutation.changes
                         if change.file == file), key=lambda pair: pair[0].start, reverse=True)
        for place, change in placed:
            lines[place.start:place.stop] = _in_place(change, lines[place.start])
        texts[file] = "\n".join(lines)
    for file, text in texts.items():
        (tree / file).write_text(text)
