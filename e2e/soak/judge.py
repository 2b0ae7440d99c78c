"""What must hold: an equality when all is quiet, and what may never be, at every look.

What is wanted is worked out from the API's objects by `damon_mock.demo.expectation`, which shares
no code with operator and agent. What is the case comes from the emulated kernel's own state, and
who is who from the machine's own /proc.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from damon_mock.demo import expectation
from damon_mock.demo.expectation import ExpectedPod, Meter
from damon_mock.kube.cluster import Cluster
from damon_mock.nodes import processes
from damon_mock.nodes.memory import Memory

_KTHREADD: Final = 2
_MOST_LANES: Final = 8
_RESERVED: Final = 100 * 2**20
"""The kubelet's hard eviction threshold, as the simulated node has it."""

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Lane:
    """One kdamond that runs."""

    index: int
    pids: tuple[int, ...]
    action: str
    """Of the scheme that acts; "" where there is only the counting one."""
    metric: str
    mark: int

    @property
    def role(self) -> str:
        """What its schemes make of it."""
        if not self.action:
            return "protected"
        return "eager" if self.metric == "none" else "ladder"


def lanes(look: Body) -> list[Lane]:
    """Return the lanes that a look at the kernel shows."""
    found = []
    for kdamond in look["kdamonds"]:
        acting = kdamond["schemes"][1:] or [{"action": "", "metric": "none", "mark": 0}]
        pids = [target[0] for target in kdamond["targets"] if target and target[0] != _KTHREADD]
        found.append(
            Lane(
                kdamond["index"],
                tuple(pids),
                acting[0]["action"],
                acting[0]["metric"],
                acting[0]["mark"] if acting[0]["metric"] != "none" else 0,
            )
        )
    return found


def is_out(pod: Body) -> bool:
    """Return whether a pod can be in no plan: it ends, or it lives in a sandbox."""
    runtime = pod["spec"].get("runtimeClassName", "")
    return bool(pod["metadata"].get("deletionTimestamp")) or "kata" in runtime


@dataclass(frozen=True)
class Wanted:
    """What the API's objects want at one moment."""

    mode: str
    """Of the tuning; Off where there is none."""
    decided: Mapping[str, tuple[int, str]]
    """uid -> (priority, source) of every pod that takes part."""
    plans: Mapping[str, Mapping[str, tuple[int, str, frozenset[str]]]]
    """node -> uid -> (priority, source, ids of running containers)."""


def wanted(cluster: Cluster) -> Wanted:
    """Read what is wanted."""
    tuning = cluster.find("dt", "default")
    mode = tuning["spec"]["mode"] if tuning else "Off"
    pods = [pod for pod in cluster.list("pods") if not is_out(pod)]
    classes, namespaces = cluster.list("priorityclasses"), cluster.list("namespaces")
    decided = expectation.cluster_wide(pods, classes, namespaces)
    plans: dict[str, dict[str, tuple[int, str, frozenset[str]]]] = {}
    for pod in pods if mode != "Off" else ():
        uid, status = pod["metadata"]["uid"], pod.get("status", {})
        running = frozenset(
            each["containerID"].partition("://")[2]
            for each in status.get("containerStatuses", ())
            if "running" in each.get("state", {}) and "containerID" in each
        )
        if uid in decided and running and status.get("phase") == "Running":
            plans.setdefault(pod["spec"]["nodeName"], {})[uid] = (*decided[uid], running)
    return Wanted(mode, decided, plans)


def by_session() -> dict[int, set[int]]:
    """Return the pids of every session of the machine, zombies left out."""
    found: dict[int, set[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - often
        fields = processes.stat_fields(int(name)) if name.isdecimal() else None
        if fields and fields[0] not in "ZX":
            found.setdefault(int(fields[3]), set()).add(int(name))
    return found


def meter(memory: Memory) -> Meter:
    """Return a simulated node's memory as its /proc/meminfo shows it, in whole KiB."""
    return Meter(
        total=memory.total_bytes // 1024 * 1024,
        free=memory.free_bytes // 1024 * 1024,
        available=memory.available_bytes // 1024 * 1024,
        reserved=_RESERVED,
        zone_high=memory.zone_high_bytes,
    )


def of_kernel(expected: Iterable[ExpectedPod], looked: list[Lane], mode: str) -> Iterator[str]:
    """Yield every difference between what is wanted and what the kernel runs."""
    pods = [pod for pod in expected if pod.pids] if mode != "Off" else []
    owner = {pid: pod for pod in pods for pid in pod.pids}
    carried = [pid for lane in looked for pid in lane.pids]
    if len(carried) != len(set(carried)):
        yield "a process is the target of two kdamonds"
    if extra := sorted(set(carried) - owner.keys()):
        yield f"targets that belong to no planned pod: {extra}"
    if missing := sorted(owner.keys() - set(carried)):
        names = sorted({owner[pid].name for pid in missing})
        yield f"no target for {missing} of {', '.join(names)}"
    held: dict[int, set[int]] = {}
    for lane in looked:
        members = {owner[pid] for pid in lane.pids if pid in owner}
        if not members:
            yield f"kdamond {lane.index} runs for nobody"
            continue
        held[lane.index] = {pod.priority for pod in members}
        yield from _of_lane(lane, max(members, key=lambda pod: pod.priority), mode)
    yield from _order(held, {pod.priority for pod in pods})


def _of_lane(lane: Lane, leads: ExpectedPod, mode: str) -> Iterator[str]:
    """Yield how a lane is not what the most important pod in it wants."""
    action = "stat" if mode == "Observe" and leads.action else leads.action
    found = (lane.role, lane.mark, lane.action)
    wanted = (leads.role, leads.watermark or 0, action)
    if found != wanted:
        yield f"kdamond {lane.index} is {found}, but {leads.name} ({leads.priority}) wants {wanted}"


def _order(held: Mapping[int, set[int]], priorities: set[int]) -> Iterator[str]:
    """Yield lanes whose priorities are no neighbours, or share one without need."""
    for index, here in held.items():
        others = set().union(*(there for other, there in held.items() if other != index))
        between = {p for p in others if min(here) <= p <= max(here)}
        if between:
            yield f"kdamond {index} holds {sorted(here)}, but others hold {sorted(between)}"
        if len(here) > 1 and len(priorities) <= _MOST_LANES:
            yield f"kdamond {index} is shared by {sorted(here)} without need"


def of_plan(
    node: Body | None, wanted: Mapping[str, tuple[int, str, frozenset[str]]] | None
) -> Iterator[str]:
    """Yield differences between a DamonNode and what it should plan; None: it should not exist."""
    if wanted is None or node is None:
        if (wanted is None) != (node is None):
            yield f"the DamonNode {'exists' if node else 'does not exist'}"
        return
    planned = {
        pod["uid"]: (pod["priority"], pod["source"], frozenset(c["id"] for c in pod["containers"]))
        for pod in node["spec"].get("pods", ())
    }
    if planned != dict(wanted):
        odd = sorted(u for u in planned.keys() | wanted.keys() if planned.get(u) != wanted.get(u))
        shown = [(uid, planned.get(uid), wanted.get(uid)) for uid in odd[:3]]
        yield f"the plan differs for {len(odd)} pods: {shown}"


def says_ready(node: Body | None) -> Iterator[str]:
    """Yield what a DamonNode of a healthy agent should not say."""
    status = (node or {}).get("status", {})
    ready: Body = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
    if ready.get("status") != "True":
        yield f"DamonNode Ready={ready.get('status')} {ready.get('reason')} {ready.get('message')}"


@dataclass
class Watch:
    """What may never be, on one node: looked at all the time."""

    looks: int = 0
    targets: int = 0
    """Seen in all looks."""
    carried: int = 0
    """Seen in the last one."""
    writes: int = 0
    events: int = 0
    reclaimed_bytes: int = 0
    broken: list[str] = field(default_factory=list)
    _roles: dict[int, tuple[int, bool, bool]] = field(default_factory=dict)

    def meet(self, session: int, *, planned: bool, protected: bool) -> None:
        """Note what a session of processes is: may it be a target, may it be reclaimed."""
        fields = processes.stat_fields(session)
        if fields:
            self._roles[session] = (int(fields[19]), planned, protected)

    def judge(self, look: Body) -> list[str]:
        """Return what this look shows that may never be."""
        self.looks += 1
        self.writes, self.events = look["writes"], look["events"]
        found = []
        if wrong := look["wrong_writes"]:
            found.append(f"{len(wrong)} writes to somebody else's kdamonds, the first: {wrong[0]}")
        if look["inherited"]:
            found.append(f"{look['inherited']} targets carry the ages of another process")
        if look["panicked"]:
            found.append(f"the kernel died: {look['panicked']}")
        before = self.targets
        for kdamond in look["kdamonds"]:
            if kdamond["creator"] == "agent":
                found += self._wrong(kdamond)
        self.carried = self.targets - before
        for pid, start_ticks, size_bytes, hot_bytes in look["reclaims"]:
            self.reclaimed_bytes += size_bytes
            role = self._role(pid, start_ticks)
            if hot_bytes:
                found.append(f"{hot_bytes} bytes in use were reclaimed from {pid}")
            if role is not None and role[2]:
                found.append(f"a protected process was reclaimed: {pid}")
        self.broken += found
        return found

    def _wrong(self, kdamond: Body) -> Iterator[str]:
        for target in kdamond["targets"]:
            if target is None or target[0] == _KTHREADD:
                continue
            self.targets += 1
            role = self._role(*target)
            if role is not None and not role[1]:
                yield f"kdamond {kdamond['index']}: {target[0]} belongs to no planned pod"

    def _role(self, pid: int, start_ticks: int) -> tuple[int, bool, bool] | None:
        """Return what a living process is; None: it is gone, and nothing can be done to it."""
        fields = processes.stat_fields(pid)
        if not fields or int(fields[19]) != start_ticks or fields[0] in "ZX":
            return None
        return self._roles.get(int(fields[3]), (0, False, False))
