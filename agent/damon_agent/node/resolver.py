"""From container ids to live processes: the cheapest sure way at every moment.

With the host's cgroup tree at hand a container's directory is looked for once, afterwards only its
`cgroup.procs` is read. Without it, and for containers that have no directory there, /proc is
scanned. A process forked inside a container raises no event anywhere, so this runs again and again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from damon_agent.facts import Process
from damon_agent.node import cgroups
from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.procfs import Procfs
from damon_agent.node.scanner import Scanner

_FIRST_SEARCH_US: Final = 1_000_000
_LONGEST_SEARCH_US: Final = 60_000_000
_SWAP_US: Final = 60_000_000
"""memory.swap.max changes only when somebody resizes a pod or edits it by hand."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found of the wanted containers."""

    processes: Mapping[str, tuple[Process, ...]]
    """Live processes by container id, by pid; a process is in one container only."""
    unswappable: frozenset[str]
    """Containers that must not swap: only clean file pages can be taken from them."""
    homes: Mapping[str, str] = field(default_factory=dict)
    """The cgroup directory of each container that has one in a mounted tree."""


@dataclass(frozen=True, slots=True)
class _Home:
    """The cgroup directory of a container."""

    directory: str
    swappable: bool
    checked_us: int


class Resolver:
    """Finds the processes of containers; remembers directories and identities between calls."""

    def __init__(self, procfs: Procfs, hierarchy: Hierarchy | None, *, own_pid: int) -> None:
        self._procfs = procfs
        self._hierarchy = hierarchy
        self._own_pid = own_pid
        self._scanner = Scanner(procfs)
        self._homes: dict[str, _Home] = {}
        self._homeless: frozenset[str] = frozenset()
        self._search_us = _FIRST_SEARCH_US
        self._next_search_us = 0
        self._verified: dict[Process, str] = {}
        """Processes that were found in their container's cgroup by their identity."""

    def resolve(
        self, wanted: Collection[str], now_us: int, *, watched: Collection[Process] = ()
    ) -> Resolution:
        """Return the live processes of the containers `wanted`.

        `watched` are processes that are known to live; their identity is not read again. Unknown
        ids, pause containers, monitors, zombies and the agent itself are never in the answer.
        Raise UnreadableError when the node's files can't be read at all.
        """
        pids = self._pids(frozenset(wanted), now_us)
        processes: dict[str, tuple[Process, ...]] = {}
        verified: dict[Process, str] = {}
        taken = {self._own_pid}
        known = {process.pid: process for process in watched if process in self._verified}
        for container, candidates in pids.items():
            live: list[Process] = []
            for pid in sorted(candidates):
                if pid in taken:
                    continue
                if process := known.get(pid) or self._identify(pid, container):
                    taken.add(pid)
                    verified[process] = container
                    live.append(process)
            if live:
                processes[container] = tuple(live)
        self._verified = verified
        return Resolution(
            processes=processes,
            unswappable=frozenset(c for c, home in self._homes.items() if not home.swappable),
            homes={container: home.directory for container, home in self._homes.items()},
        )

    def _identify(self, pid: int, container: str) -> Process | None:
        """Return the process behind a pid if it is in the container.

        The start time is read first, the cgroup afterwards: should the pid be given to somebody
        else in between, the identity is that of a dead process, which nobody will write.
        """
        process = self._procfs.process(pid)
        if process is None or self._verified.get(process) == container:
            return process
        text = self._procfs.cgroup_text(pid)
        if text is None or container not in cgroups.container_ids(text):
            return None
        return process

    def _pids(self, wanted: frozenset[str], now_us: int) -> dict[str, list[int]]:
        if self._hierarchy is None:
            return self._scanner.find(wanted, now_us)
        self._forget(wanted)
        self._search(self._hierarchy, wanted, now_us)
        pids: dict[str, list[int]] = {}
        for container, home in list(self._homes.items()):
            members = self._hierarchy.pids(home.directory)
            if members is None:
                del self._homes[container]
            else:
                pids[container] = members
                self._recheck_swap(self._hierarchy, container, home, now_us)
        if homeless := wanted - self._homes.keys():
            pids.update(self._scanner.find(homeless, now_us))
        return pids

    def _forget(self, wanted: frozenset[str]) -> None:
        for container in self._homes.keys() - wanted:
            del self._homes[container]

    def _search(self, hierarchy: Hierarchy, wanted: frozenset[str], now_us: int) -> None:
        """Walk the tree for containers without a directory: at once for new ones, then rarer."""
        homeless = wanted - self._homes.keys()
        if homeless != self._homeless:
            self._search_us = _FIRST_SEARCH_US
            self._next_search_us = now_us
        self._homeless = homeless
        if not homeless or now_us < self._next_search_us:
            return
        for container, directory in hierarchy.find(homeless).items():
            self._homes[container] = _Home(directory, hierarchy.swappable(directory), now_us)
        self._homeless = wanted - self._homes.keys()
        self._next_search_us = now_us + self._search_us
        self._search_us = min(2 * self._search_us, _LONGEST_SEARCH_US)

    def _recheck_swap(self, hierarchy: Hierarchy, container: str, home: _Home, now_us: int) -> None:
        if now_us - home.checked_us >= _SWAP_US:
            swappable = hierarchy.swappable(home.directory)
            self._homes[container] = _Home(home.directory, swappable, now_us)
