"""Somebody else who uses DAMON through sysfs: for tests of being a good neighbour."""

from collections.abc import Iterable

from .emulator import Emulator
from .events import Writer


def configure(
    emulator: Emulator, pids: Iterable[int], *, run: bool, writer: Writer | None = None
) -> None:
    """Let another user allocate one kdamond with these targets, and maybe start it.

    As in the kernel this wipes all stopped kdamonds, whoever made them, and is EBUSY (OSError)
    while one runs.
    """
    writer = writer or Writer("foreign")
    root = "damon/admin/kdamonds"
    context = f"{root}/0/contexts/0"
    targets = list(pids)
    emulator.write(f"{root}/nr_kdamonds", b"1", writer)
    emulator.write(f"{root}/0/contexts/nr_contexts", b"1", writer)
    emulator.write(f"{context}/targets/nr_targets", str(len(targets)).encode(), writer)
    for index, pid in enumerate(targets):
        emulator.write(f"{context}/targets/{index}/pid_target", str(pid).encode(), writer)
    if run:
        emulator.write(f"{root}/0/state", b"on", writer)


def leave(emulator: Emulator, writer: Writer | None = None) -> None:
    """Let the other user switch off and remove what it configured."""
    writer = writer or Writer("foreign")
    root = "damon/admin/kdamonds"
    for kdamond in emulator.kdamonds:
        if kdamond.running and kdamond.directory.creator == writer.name:
            emulator.write(f"{root}/{kdamond.index}/state", b"off", writer)
    emulator.write(f"{root}/nr_kdamonds", b"0", writer)
