"""Commands in Markdown, and whether what is shown of their output is what they print.

A fenced block of the language `console` holds commands behind `$ `, each followed by its output:

    ```console
    $ kubectl get dt
    NAME      MODE      READY   NODES   APPLIED   AGE
    default   Enforce   True    3       3         11s
    ```

A command may go on in the next line after a backslash. `...` stands for any lines. A comment
`<!-- console: example -->` right before the block says that its output is that of one run, because
it depends on the machine; then only the exit status is asked for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

EXAMPLE: Final = "<!-- console: example -->"

_BLOCK: Final = re.compile(
    r"(?P<before>^[^\n]*\n\n?)?^```console\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_VOLATILE: Final = (
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|m|h|d)(\d+s)?\b"), "<time>"),
    (re.compile(r"(damon-operator(?:-agent)?(?:-[0-9a-f]{6,10})?)-[a-z0-9]{5}\b"), r"\1-<pod>"),
    (re.compile(r"(damon-operator)-[0-9a-f]{6,10}\b"), r"\1-<set>"),
    (re.compile(r"\b\d{4,}\b"), "<number>"),
    (re.compile(r"\bby (fuse|socket)\b"), "by <transport>"),
    (re.compile(r"[─-╿]+"), ""),
    (re.compile(r"\s+"), " "),
)
"""What differs from run to run: times, names of pods, pids, widths of columns, and from machine to
machine: whether FUSE is to be had."""


@dataclass(frozen=True)
class Command:
    """A command as a reader would type it, and what the page shows of its output."""

    file: Path
    line: int
    text: str
    output: tuple[str, ...]
    is_example: bool = False
    """Whether the output is that of one run, and another run may print another one."""

    @property
    def where(self) -> str:
        """Say where the command stands."""
        return f"{self.file.name}:{self.line}"


class Home(Enum):
    """Where a command is run by a test."""

    MACHINE = "by tests/docs: it needs this machine and nothing else"
    CLUSTER = "by e2e/tests_kind/test_tutorial.py, in the order of the tutorial"
    TIER = "by whoever runs a tier: it brings up what the tests need, or is a tier itself"
    ELSEWHERE = (
        "by nobody: it needs a registry or a cluster of yours. Only what it names is looked at"
    )


_HOMES: Final = (
    (r".*registry\.example\.com.*", Home.ELSEWHERE),
    (r"make( demo)?", Home.MACHINE),
    (
        r"make (test|docs|images|kind-up|kind-down|test-kind)|eval .*|e2e/kind/load\.sh .*",
        Home.TIER,
    ),
    (r"(kubectl|helm) .*", Home.CLUSTER),
)


def home(command: str) -> Home:
    """Return where a command is run; raise ValueError for one that has no home yet."""
    for pattern, found in _HOMES:
        if re.fullmatch(pattern, command):
            return found
    raise ValueError(f"no test runs this: {command}")


def commands(file: Path) -> list[Command]:
    """Return the commands of a page, in order; raise ValueError for output without a command."""
    text = file.read_text(encoding="utf-8")
    found: list[Command] = []
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("body")) + 1
        is_example = EXAMPLE in (block["before"] or "")
        found += _commands(file, first, block["body"].splitlines(), is_example=is_example)
    return found


def _commands(file: Path, first: int, lines: list[str], *, is_example: bool) -> Iterator[Command]:
    at = 0
    while at < len(lines):
        start = at
        if not lines[at].startswith("$ "):
            raise ValueError(f"{file.name}:{first + at}: output without a command")
        typed = [lines[at].removeprefix("$ ")]
        while typed[-1].endswith("\\"):
            at += 1
            typed.append(lines[at].strip())
        at += 1
        begin = at
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        whole = " ".join(part.removesuffix("\\").strip() for part in typed)
        yield Command(file, first + start, whole, tuple(lines[begin:at]), is_example)


def filled(file: Path, printed: Mapping[int, str]) -> str:
    """Return the page with what commands have printed below those that show nothing yet.

    `printed` is by the line of the command, as in `Command.line`.
    """
    shows = {command.line for command in commands(file) if command.output}
    lines = file.read_text(encoding="utf-8").splitlines()
    for line in sorted(printed.keys() - shows, reverse=True):
        end = line
        while lines[end - 1].endswith("\\"):
            end += 1
        lines[end:end] = [text.rstrip() for text in printed[line].splitlines()]
    return "\n".join(lines) + "\n"


def missing(shown: tuple[str, ...], printed: str) -> str | None:
    """Return the first line that is shown and was not printed, in this order; None: all were."""
    rest = iter([_settled(line) for line in printed.splitlines()])
    for line in shown:
        wanted = _settled(line)
        if wanted in {"", "..."}:
            continue
        if all(found != wanted for found in rest):
            return line
    return None


def _settled(line: str) -> str:
    """Return a line without what differs from run to run."""
    for pattern, instead in _VOLATILE:
        line = pattern.sub(instead, line)
    return line.strip()
