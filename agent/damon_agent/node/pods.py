"""What a pod's own cgroup says of its memory: cgroup v2, three small files per pod.

Formats: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.stat, memory.pressure,
memory.swap.events).
memory.stat of v1 has other names and no share of time is kept there: such pods can't be seen.
"""

import errno
import os
import re
from collections.abc import Collection, Mapping
from typing import Final

from damon_agent.errors import AgentError, MalformedError, UnreadableError
from damon_agent.facts import PodCharge, PodMemory
from damon_agent.node.cgroups import pod_uid

_ABSENT: Final = frozenset(
    {errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.EOPNOTSUPP, errno.EINVAL}
)
"""The container has ended, the kernel has no such file, or pressure is not measured (psi=0)."""
_COUNT: Final = re.compile(rb"[0-9]{1,18}")
"""Bytes and events, far from what 64 bits hold."""
_PERCENT: Final = re.compile(rb"[0-9]{1,3}\.[0-9]{2}")
_READ_BYTES: Final = 16384


def read(
    homes: Mapping[str, Collection[str]],
    *,
    swapped: bool = False,
    troubles: dict[str, AgentError] | None = None,
) -> dict[str, PodMemory | None]:
    """Return the memory of pods; None where it can't be seen.

    `homes`: for each pod the cgroup directories of its containers. `swapped`: read what is out in
    swap of every pod; else only of those of whom something has come back. `troubles`: gets, by pod,
    what could not be read; nobody else is the worse for it.
    """
    memory: dict[str, PodMemory | None] = {}
    for pod, directories in homes.items():
        try:
            memory[pod] = _pod(cgroups(directories), swapped=swapped)
        except AgentError as error:
            memory[pod] = None
            if troubles is not None:
                troubles[pod] = error
    return memory


def cgroups(homes: Collection[str]) -> tuple[str, ...]:
    """Return the directories that together are a pod: its own, else those of its containers."""
    parents = {home.rpartition("/")[0] for home in homes}
    if len(parents) == 1:
        (parent,) = parents
        if pod_uid(parent.rpartition("/")[2]) is not None:
            return (parent,)
    return tuple(homes)


def charge(directories: Collection[str]) -> PodCharge | None:
    """Return what the cgroups of a pod are charged for; None where it can't be seen.

    Raise UnreadableError, MalformedError.
    """
    file_bytes = working_set_bytes = 0
    for directory in directories:
        text, current = _read(f"{directory}/memory.stat"), _read(f"{directory}/memory.current")
        if text is None or current is None:
            return None
        if not _COUNT.fullmatch(current.strip()):
            raise MalformedError(f"{directory}/memory.current", current.decode(errors="replace"))
        stat = b"\n" + text
        file_bytes += _counter(stat, b"file", directory) or 0
        inactive_bytes = _counter(stat, b"inactive_file", directory) or 0
        working_set_bytes += max(0, int(current) - inactive_bytes)
    return PodCharge(file_bytes, working_set_bytes)


def _pod(directories: Collection[str], *, swapped: bool) -> PodMemory | None:
    seen = [
        memory
        for directory in directories
        if (memory := _cgroup(directory, swapped=swapped)) is not None
    ]
    if not seen:
        return None
    refaults = [memory.refaults for memory in seen if memory.refaults is not None]
    pressures = [memory.pressure_bp for memory in seen if memory.pressure_bp is not None]
    out = [memory.swapped_bytes for memory in seen if memory.swapped_bytes is not None]
    refusals = [memory.swap_refusals for memory in seen if memory.swap_refusals is not None]
    file_refaults = [memory.file_refaults for memory in seen if memory.file_refaults is not None]
    return PodMemory(
        resident_bytes=sum(memory.resident_bytes for memory in seen),
        anonymous_bytes=sum(memory.anonymous_bytes for memory in seen),
        left_bytes=sum(memory.left_bytes for memory in seen),
        refaults=sum(refaults) if refaults else None,
        pressure_bp=max(pressures, default=None),
        swapped_bytes=sum(out) if out else None,
        swap_refusals=sum(refusals) if refusals else None,
        file_bytes=sum(memory.file_bytes for memory in seen),
        file_refaults=sum(file_refaults) if file_refaults else None,
    )


def _cgroup(directory: str, *, swapped: bool) -> PodMemory | None:
    text = _read(f"{directory}/memory.stat")
    if text is None:
        return None
    stat = b"\n" + text
    anon = _counter(stat, b"anon", directory)
    file = _counter(stat, b"file", directory)
    if anon is None or file is None:
        return None
    refaults = _counter(stat, b"workingset_refault_anon", directory)
    # For the brake a third file only of those of whom something has come back: most never have.
    out = _swapped_bytes(directory, stat) if swapped or refaults else None
    return PodMemory(
        resident_bytes=anon + file,
        anonymous_bytes=anon + (out or 0),
        left_bytes=_left_bytes(stat, anon, directory),
        refaults=refaults,
        pressure_bp=_pressure_bp(directory),
        swapped_bytes=out,
        swap_refusals=_swap_refusals(directory),
        file_bytes=file,
        file_refaults=_counter(stat, b"workingset_refault_file", directory),
    )


def _left_bytes(stat: bytes, anon: int, directory: str) -> int:
    """Return what is in swap, and in memory though nobody maps it.

    `anon` counts what is mapped (NR_ANON_MAPPED), and the lists of the kernel hold all that is not
    locked. A page that came back from swap may keep its place there and is mapped again, so
    `swapcached` alone would count memory in use.
    """
    cached = _counter(stat, b"swapcached", directory)
    if not cached:
        return 0
    lists = [_counter(stat, name, directory) for name in (b"active_anon", b"inactive_anon")]
    unmapped = sum(each or 0 for each in lists) - anon - (_counter(stat, b"shmem", directory) or 0)
    return max(0, min(cached, unmapped))


def _swapped_bytes(directory: str, stat: bytes) -> int | None:
    """Return what is out in swap; pages that are back, and keep their place there, are not out.

    Those are charged to memory and to swap (`swapcached`, Linux 5.12 and later).
    """
    text = _read(f"{directory}/memory.swap.current")
    if text is None:
        return None
    if not _COUNT.fullmatch(text.strip()):
        raise MalformedError(f"{directory}/memory.swap.current", text.decode(errors="replace"))
    return max(0, int(text) - (_counter(stat, b"swapcached", directory) or 0))


def _swap_refusals(directory: str) -> int | None:
    """Return how often swap had no place for a page of those of whom something is out in it.

    Whoever has nothing there may not swap at all: that is no news, and file pages can go.
    """
    text = _read(f"{directory}/memory.swap.events")
    refusals = None if text is None else _counter(b"\n" + text, b"fail", directory, "swap.events")
    if refusals and (_read(f"{directory}/memory.swap.current") or b"0").strip() == b"0":
        return 0
    return refusals


def _counter(stat: bytes, name: bytes, directory: str, file: str = "stat") -> int | None:
    """Return one line of a flat-keyed file; None where it has none of that name."""
    _, found, rest = stat.partition(b"\n" + name + b" ")
    if not found:
        return None
    value = rest.partition(b"\n")[0]
    if not _COUNT.fullmatch(value):
        raise MalformedError(f"{directory}/memory.{file}", f"{name.decode()} {value!r}")
    return int(value)


def _pressure_bp(directory: str) -> int | None:
    text = _read(f"{directory}/memory.pressure")
    if text is None:
        return None
    value = text.partition(b"avg10=")[2].partition(b" ")[0]
    if not _PERCENT.fullmatch(value):
        raise MalformedError(f"{directory}/memory.pressure", text.decode(errors="replace"))
    return int(value.replace(b".", b""))


def _read(path: str) -> bytes | None:
    """Read a file that one read(2) returns whole; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise UnreadableError(path, error) from error
