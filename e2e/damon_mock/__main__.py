"""`damon-mock`: the test doubles of this project, one sub-command each."""

import argparse
from collections.abc import Sequence

from . import agent
from .conformance import command as conform
from .damon import command as sysfs
from .demo import command as demo

_COMMANDS = (demo, sysfs, conform, agent)
"""Modules with `add(subparsers)`, which sets `run(arguments) -> int` as the default `run`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; return its exit status."""
    parser = argparse.ArgumentParser(prog="damon-mock", description=__doc__)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(subparsers)
    parsed = parser.parse_args(arguments)
    return int(parsed.run(parsed))


if __name__ == "__main__":
    raise SystemExit(main())
