"""`damon-mock agent`: the real agent on files of an emulated node that are served by sockets."""

import argparse
from pathlib import Path

from damon_agent import __main__ as agent

from .damon.remote import SocketFiles, die


class SocketReclaimFile:
    """memory.reclaim of cgroups that `damon_mock.nodes.cgroup_memory.answer` serves."""

    def __init__(self, socket: Path) -> None:
        self._files = SocketFiles(socket)

    def write(self, directory: str, text: str) -> None:
        """Write to the memory.reclaim of a cgroup directory; OSError."""
        self._files.write(f"{directory}/memory.reclaim", text.encode())


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "agent",
        help="run damon-agent on a tree served by `damon-mock sysfs --socket`",
        description="Run damon-agent on files of an emulated node that are served on unix sockets.",
    )
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="of an emulated DAMON, instead of --damon-root and --module-root: for users who "
        "cannot mount FUSE",
    )
    parser.add_argument(
        "--reclaim-socket",
        type=Path,
        metavar="PATH",
        help="of memory.reclaim below --cgroup-root, for --memory-reclaim",
    )
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENT", help="damon-agent's own"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the agent until it ends; its exit status."""
    given = list(arguments.arguments)
    if given[:1] == ["--"]:
        given = given[1:]
    roots = reclaim_file = None
    if arguments.socket is not None:
        files = SocketFiles(arguments.socket, on_killed=die)
        roots = agent.Roots(damon=files.under("damon"), module=files.under("module"))
    if arguments.reclaim_socket is not None:
        reclaim_file = SocketReclaimFile(arguments.reclaim_socket)
    return agent.main(given, files=roots, reclaim_file=reclaim_file)
