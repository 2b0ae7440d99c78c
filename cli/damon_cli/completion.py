"""`kubectl_complete-damon`: what kubectl calls to complete `kubectl damon ...`.

kubectl takes a candidate per line, and a last line with a directive (its plugin documentation, and
cobra's `ShellCompDirective`): 4 offers no files, 0 does.
"""

import sys
from itertools import pairwise
from typing import Any, Final

from typer.main import get_command

from damon_cli import options, streams
from damon_cli.__main__ import app
from damon_cli.errors import CliError
from damon_cli.explain.workloads import KINDS

_NO_FILES: Final = ":4"
_FILES: Final = ":0"
_VALUES: Final = {
    "-o": ("table", "json", "yaml"),
    "--output": ("table", "json", "yaml"),
    "-g": ("pod", "namespace", "workload", "node", "priority"),
    "--group": ("pod", "namespace", "workload", "node", "priority"),
    "--sort": ("cold", "given-up", "came-back", "working-set", "priority", "name"),
}
_REPORT_FORMS: Final = ("table", "html", "svg", "md", "csv", "json", "yaml")
_FILE_OPTIONS: Final = ("-f", "--filename", "--kubeconfig")


def main() -> int:
    """Print the candidates for the last word of the command line."""
    streams.prepare()
    before, word = sys.argv[1:-1], (sys.argv[1:] or [""])[-1]
    found, directive = candidates(before, word)
    for each in found:
        print(each)
    print(directive)
    return 0


def candidates(before: list[str], word: str) -> tuple[list[str], str]:
    """Return what the word may become, and kubectl's directive."""
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    command = next((each for each in before if each in commands), None)
    last = before[-1] if before else ""
    if last in _FILE_OPTIONS:
        return [], _FILES
    if last in _VALUES:
        of_report = command == "report" and last in {"-o", "--output"}
        values = _REPORT_FORMS if of_report else _VALUES[last]
        return _starting(values, word), _NO_FILES
    if command is None:
        return _starting(commands, word), _NO_FILES
    if word.startswith("-"):
        known = [opt for param in commands[command].params for opt in getattr(param, "opts", ())]
        return _starting((opt for opt in known if opt.startswith("--")), word), _NO_FILES
    if command == "explain":
        return _starting(_explained(_named(before, command), before), word), _NO_FILES
    return [], _NO_FILES


def _named(before: list[str], command: str) -> list[str]:
    """Return the words after a command that are neither options nor their values."""
    words = iter(before[before.index(command) + 1 :])
    found = []
    for each in words:
        if not each.startswith("-"):
            found.append(each)
        elif "=" not in each:
            next(words, None)
    return found


def _explained(words: list[str], line: list[str]) -> list[str]:
    """Return kinds, or the names of the objects of a kind; nothing without an answer in time."""
    if not words:
        return [each.words[0] for each in KINDS]
    kind = next((each for each in KINDS if words[0] in each.words), None)
    if kind is None or len(words) > 1:
        return []
    said = dict(pairwise(line))
    namespace = said.get("-n") or said.get("--namespace") or ""
    try:
        with options.client(
            said.get("--kubeconfig", ""), said.get("--context", ""), namespace
        ) as client:
            path = f"{kind.group}/namespaces/{client.namespace}/{kind.plural}"
            return [str(each["metadata"]["name"]) for each in client.items(path)]
    except CliError:
        return []


def _starting(words: Any, start: str) -> list[str]:
    return sorted(word for word in words if word.startswith(start))
