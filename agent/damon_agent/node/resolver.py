"""From container ids to live processes: the cheapest sure way at every moment.

With the host's cgroup tree at hand a container's directory is looked for once, afterwards only its
`cgroup.procs` is read. /proc is scanned without it, and for containers that have no directory
there, an empty one or one that cannot be read whole. A process forked inside a container raises no
event anywhere, so this runs again and again.

What cannot be read costs the process or the container it belongs to, and is told of that one.
"""

import errno
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from damon_agent.errors import AgentError, UnreadableError
from damon_agent.facts import Process
from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.procfs import Procfs
from damon_agent.node.scanner import Scanner
from damon_agent.node.shares import fair_share

MOST_PROCESSES: Final = 2000
"""Targets of a node. Each costs DAMON at least ten regions, and five files at each change: with
so many a tick takes 0.5 s, and the kdamonds some percent of a core."""

_FIRST_SEARCH_US: Final = 1_000_000
_LONGEST_SEARCH_US: Final = 60_000_000
_IDENTITY_US: Final = 60_000_000
"""How often those are identified again whose exit would be seen. The first thread of a process may
exit while others go on: no descriptor tells of that, and DAMON finds no memory by it any more. It
is one file for each process: 20 ms a minute for 2,000 of them."""
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
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Processes of a container beyond those that the node has room for."""
    troubles: Mapping[str, AgentError] = field(default_factory=dict)
    """By container id: why not everything of it is known."""
    unreadable: Mapping[int, AgentError] = field(default_factory=dict)
    """By pid: processes of which nobody knows whose they are."""


@dataclass(frozen=True, slots=True)
class _Home:
    """The cgroup directory of a container."""

    directory: str
    swappable: bool
    checked_us: int
    trouble: AgentError | None
    """Why it is not known whether it may swap."""


class Resolver:
    """Finds the processes of containers; remembers directories and identities between calls."""

    def __init__(
        self,
        procfs: Procfs,
        hierarchy: Hierarchy | None,
        *,
        own_pid: int,
        most: int = MOST_PROCESSES,
    ) -> None:
        """`most`: how many processes to return; of a pod never fewer than its fair share."""
        self._procfs = procfs
        self._hierarchy = hierarchy
        self._own_pid = own_pid
        self._most = most
        self._scanner = Scanner(procfs, own_pid=own_pid)
        self._homes: dict[str, _Home] = {}
        self._homeless: frozenset[str] = frozenset()
        """Containers for which a directory is to be searched."""
        self._search_us = _FIRST_SEARCH_US
        self._next_search_us = 0
        self._next_identity_us = 0
        self._verified: dict[Process, str] = {}
        """Processes that were found in their container's cgroup by their identity."""
        self._troubles: dict[str, AgentError] = {}
        self._walk_trouble: AgentError | None = None
        """Why the last search did not see the whole tree, if so."""

    def resolve(
        self, wanted: Mapping[str, str], now_us: int, *, watched: Collection[Process] = ()
    ) -> Resolution:
        """Return the live processes of the containers `wanted` (id -> uid of its pod).

        `watched` are processes that are known to live; their identity is read again only once a
        minute. Unknown ids, pause containers, monitors, zombies and the agent itself are never in
        the answer.
        Raise UnreadableError when /proc as a whole can't be read.
        """
        self._troubles = {}
        listed, unreadable = self._pids(wanted, now_us)
        pids, left_out = self._within(listed, wanted)
        processes: dict[str, tuple[Process, ...]] = {}
        verified: dict[Process, str] = {}
        taken = {self._own_pid}
        known = {process.pid: process for process in watched if process in self._verified}
        if now_us >= self._next_identity_us:
            known, self._next_identity_us = {}, now_us + _IDENTITY_US
        for container, candidates in pids.items():
            live: list[Process] = []
            for pid in candidates:
                if pid in taken:
                    continue
                if process := known.get(pid) or self._identify(pid, container, wanted[container]):
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
            left_out=left_out,
            troubles=self._troubles,
            unreadable=unreadable,
        )

    def _within(
        self, listed: Mapping[str, Collection[int]], wanted: Mapping[str, str]
    ) -> tuple[dict[str, list[int]], dict[str, int]]:
        """Return as many pids as the node has room for, and how many of whom are left out.

        Those that are targets already stay, then the lowest pids come.
        """
        if sum(map(len, listed.values())) <= self._most:
            return {container: sorted(pids) for container, pids in listed.items()}, {}
        of_pods: dict[str, list[tuple[bool, int, str]]] = {}
        stay = {process.pid for process in self._verified}
        for container, pids in listed.items():
            of_pod = of_pods.setdefault(wanted[container], [])
            of_pod += [(pid not in stay, pid, container) for pid in pids]
        share = fair_share(map(len, of_pods.values()), self._most)
        within: dict[str, list[int]] = {container: [] for container in listed}
        for of_pod in of_pods.values():
            for _, pid, container in sorted(of_pod)[:share]:
                within[container].append(pid)
        left_out = {c: len(pids) - len(within[c]) for c, pids in listed.items()}
        return (
            {container: sorted(pids) for container, pids in within.items()},
            {container: number for container, number in left_out.items() if number},
        )

    def _identify(self, pid: int, container: str, uid: str) -> Process | None:
        """Return the process behind a pid if it is in the container.

        The start time is read first, the cgroup afterwards: should the pid be given to somebody
        else in between, the identity is that of a dead process, which nobody will write.
        """
        process: Process | None = None
        try:
            process = self._procfs.process(pid)
            if process is None or self._verified.get(process) == container:
                return process
            places = self._scanner.places(pid)
        except AgentError as error:
            if isinstance(error, UnreadableError) and error.errno == errno.ENAMETOOLONG:
                # Only a cgroup tree can have named it: the kernel tells no path above PATH_MAX.
                return process
            self._troubles[container] = error
            return None
        is_here = any(place.container == container and place.may_be_of(uid) for place in places)
        return process if is_here else None

    def _pids(
        self, wanted: Mapping[str, str], now_us: int
    ) -> tuple[dict[str, Collection[int]], Mapping[int, AgentError]]:
        """Return who is in each container, and of whom that is not known."""
        if self._hierarchy is None:
            return {**self._scanner.find(wanted, now_us)}, self._scanner.unreadable
        pids = self._listed(self._hierarchy, wanted, now_us)
        self._homeless = frozenset(container for container in wanted if not pids.get(container))
        doubted = self._homeless | self._troubles.keys()
        if not doubted:
            return pids, {}
        scanned = self._scanner.find(
            {container: wanted[container] for container in doubted}, now_us
        )
        for container, more in scanned.items():
            pids[container] = {*pids.get(container, ()), *more}
        if self._walk_trouble is not None:
            for container in self._homeless - self._homes.keys() - scanned.keys():
                self._troubles[container] = self._walk_trouble
        listed_pids = {pid for members in pids.values() for pid in members}
        return pids, {
            pid: error for pid, error in self._scanner.unreadable.items() if pid not in listed_pids
        }

    def _listed(
        self, hierarchy: Hierarchy, wanted: Mapping[str, str], now_us: int
    ) -> dict[str, Collection[int]]:
        """Return who is in the directories of containers, as far as they can be read."""
        for container in self._homes.keys() - wanted.keys():
            del self._homes[container]
        self._search(hierarchy, wanted, now_us)
        pids: dict[str, Collection[int]] = {}
        for container, home in list(self._homes.items()):
            listed = hierarchy.processes(home.directory)
            if listed is None:
                del self._homes[container]
                continue
            pids[container] = listed.pids
            if (trouble := listed.trouble or home.trouble) is not None:
                self._troubles[container] = trouble
            if now_us - home.checked_us >= _SWAP_US:
                self._homes[container] = self._home(hierarchy, home.directory, now_us)
        return pids

    def _search(self, hierarchy: Hierarchy, wanted: Mapping[str, str], now_us: int) -> None:
        """Walk the tree for containers without a directory: at once for new ones, then rarer.

        An empty directory is no better than none: every planned container has a process.
        """
        homeless = {c: uid for c, uid in wanted.items() if c not in self._homes} | {
            c: wanted[c] for c in self._homeless if c in wanted
        }
        if homeless.keys() != self._homeless:
            self._next_search_us, self._search_us = now_us, _FIRST_SEARCH_US
        if not homeless or now_us < self._next_search_us:
            return
        found = hierarchy.find(homeless)
        self._walk_trouble = found.trouble
        for container, directories in found.homes.items():
            inhabited = (each for each in directories if _has_processes(hierarchy, each))
            directory = next(inhabited, directories[0])
            held = self._homes.get(container)
            if held is None or held.directory != directory:
                self._homes[container] = self._home(hierarchy, directory, now_us)
        self._next_search_us = now_us + self._search_us
        self._search_us = min(2 * self._search_us, _LONGEST_SEARCH_US)

    @staticmethod
    def _home(hierarchy: Hierarchy, directory: str, now_us: int) -> _Home:
        """Return a home with what its files say of swap; what they do not say is not held back."""
        try:
            return _Home(directory, hierarchy.swappable(directory), now_us, None)
        except AgentError as error:
            return _Home(directory, True, now_us, error)


def _has_processes(hierarchy: Hierarchy, directory: str) -> bool:
    listed = hierarchy.processes(directory)
    return listed is not None and bool(listed.pids)
