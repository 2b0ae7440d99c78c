#!/usr/bin/env python3
"""Start and stop the mock DAMON trees of a cluster's nodes: a process and a mount per node.

    mocks.py start DIRECTORY NODE...  serve DIRECTORY/<node>/mount, write DIRECTORY/mocks.json
    mocks.py status DIRECTORY         exit 0 if all of them still serve
    mocks.py stop DIRECTORY           end what start began; safe to repeat

The mounts must exist before the nodes do: a node binds what is there when it is made.
Standard library only.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 10
PROBE = "damon/admin/kdamonds/nr_kdamonds"


class MockError(Exception):
    """A mock did not come up or did not go away; the message says which and why."""


def _start_ticks(pid: int) -> str | None:
    """Field 22 of /proc/<pid>/stat, which tells a process from a later one of the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _running(node: Path) -> int | None:
    """Read a node's pid file; None unless that very process still runs."""
    try:
        pid, ticks = (node / "pid").read_text().split()
    except FileNotFoundError:
        return None
    return int(pid) if _start_ticks(int(pid)) == ticks else None


def _mounted(mount: Path) -> bool:
    return any(
        line.split()[4] == str(mount)
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    )


def _serves(node: Path) -> bool:
    try:
        (node / "mount" / PROBE).read_text()
    except OSError:
        return False
    return True


def _start_fuse(node: Path, command: list[str]) -> None:
    """Run one `damon-mock sysfs` and wait until its tree can be read.

    It looks processes up in <node>/proc, a link that leads nowhere until the node exists: the
    numbers an agent writes are those of its node's pid namespace.
    """
    where = {"--mount": "mount", "--control": "control", "--proc-root": "proc"}
    arguments = [word for key, name in where.items() for word in (key, str(node / name))]
    try:
        with (node / "log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the command is the developer's own
                [*command, *arguments, "--meminfo", "/proc/meminfo"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is not meant for it
            )
    except OSError as error:
        raise MockError(f"mock of {node.name} does not start: {error}") from error
    (node / "pid").write_text(f"{process.pid} {_start_ticks(process.pid)}\n")
    deadline = time.monotonic() + START_SECONDS
    while not (_mounted(node / "mount") and _serves(node)):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = (node / "log").read_text(errors="replace")[-2000:]
            raise MockError(f"mock of {node.name} does not serve {node / 'mount'}:\n{tail}")
        time.sleep(0.05)


def start(directory: Path, nodes: list[str], *, kind: str, command: list[str]) -> None:
    """Bring up a mock for each node, or none of them."""
    stop(directory)
    try:
        for name in nodes:
            node = directory / name
            (node / "mount").mkdir(parents=True)
            if kind == "fuse":
                _start_fuse(node, command)
    except MockError:
        stop(directory)
        raise
    roots = {
        name: {
            "mount": str(directory / name / "mount"),
            "control": str(directory / name / "control") if kind == "fuse" else None,
            "proc": str(directory / name / "proc"),
        }
        for name in nodes
    }
    (directory / "mocks.json").write_text(json.dumps(roots, indent=2) + "\n")


def status(directory: Path) -> bool:
    """Whether every mock of mocks.json still serves; plain directories do if they exist."""
    try:
        roots = json.loads((directory / "mocks.json").read_text())
    except FileNotFoundError:
        return False
    return all(
        _running(directory / name) is not None and _serves(directory / name)
        if root["control"]
        else Path(root["mount"]).is_dir()
        for name, root in roots.items()
    )


def _end(pid: int, ticks: str | None) -> None:
    """SIGTERM, so that it unmounts by itself; SIGKILL if it does not come to it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if _start_ticks(pid) != ticks:
                return
            time.sleep(0.05)
    raise MockError(f"process {pid} survives SIGKILL")


def stop(directory: Path) -> None:
    """End the processes, take the mounts away, remove the directories."""
    if not directory.is_dir():
        return
    # NB: only the parents are looked at; a mount whose process died answers any look with an error.
    for node in sorted(path for path in directory.iterdir() if path.is_dir()):
        pid = _running(node)
        if pid is not None:
            _end(pid, _start_ticks(pid))
        mount = node / "mount"
        if _mounted(mount):
            # Lazy: a node that still holds it must not keep us from ending.
            subprocess.run(["umount", "--lazy", str(mount)], check=True)  # noqa: S603, S607 - see above
        if _mounted(mount):  # one over another: removing the tree would reach into it
            raise MockError(f"{mount} is still mounted")
        shutil.rmtree(node)
    (directory / "mocks.json").unlink(missing_ok=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("start", "status", "stop"):
        arguments = verbs.add_parser(verb)
        arguments.add_argument("directory", type=Path)
        if verb == "start":
            arguments.add_argument("nodes", nargs="+", metavar="NODE")
            arguments.add_argument("--kind", choices=("fuse", "directory"), required=True)
            arguments.add_argument("--command", required=True, help="split at spaces")
    chosen = parser.parse_args()
    directory = chosen.directory.resolve()
    try:
        match chosen.verb:
            case "start":
                command = chosen.command.split()
                start(directory, chosen.nodes, kind=chosen.kind, command=command)
            case "stop":
                stop(directory)
            case _:
                return 0 if status(directory) else 1
    except MockError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
