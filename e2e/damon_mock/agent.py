"""`damon-mock agent`: the real agent on an emulated DAMON that is served by a unix socket."""

import argparse
from pathlib import Path

from damon_agent import __main__ as agent

from .damon.remote import SocketFiles, die


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "agent",
        help="run damon-agent on a tree served by `damon-mock sysfs --socket`",
        description="Run damon-agent with an emulated DAMON served on a unix socket instead of "
        "--damon-root and --module-root: for users who cannot mount FUSE.",
    )
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="the socket")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENT", help="damon-agent's own"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the agent until it ends; its exit status."""
    given = list(arguments.arguments)
    if given[:1] == ["--"]:
        given = given[1:]
    files = SocketFiles(arguments.socket, on_killed=die)
    roots = agent.Roots(damon=files.under("damon"), module=files.under("module"))
    return agent.main(given, files=roots)
