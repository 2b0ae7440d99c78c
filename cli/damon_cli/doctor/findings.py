"""The judgement: facts of a node in, a finding for each thing that tuning depends on out. Pure.

What is not known is never well: it is a finding of its own, with the way to know it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from damon_cli.doctor.facts import NodeFacts, Owner, Takes
from damon_cli.explain.by_reclaim import taken
from damon_cli.remedies import remedy
from damon_cli.sizes import shown_bytes
from damon_contract.v1alpha1.node import LIMITATIONS, UNAVAILABLE

_OLDEST: Final = (6, 1)
_FULL_PERMILLE: Final = 20
"""Swap of which less is free is used up, as the agent sees it (SwapFull)."""
_LIMITS: Final = LIMITATIONS | UNAVAILABLE
"""Reasons with which a node may be Ready all the same."""
_WAITING: Final = frozenset({"Off", "NoPlan", "Applying", "PlanPending", "PlanExpired"})
"""Reasons that nothing of the node is to blame for."""
PROBE: Final = "`kubectl damon doctor --probe --node NODE` reads it on the node"
BY_HAND: Final = (
    "read it as root on the node: `kubectl damon doctor --print-probe | ssh NODE sudo sh -s /`"
)


class State(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    WARNING = "warning"
    """Tuning works, and does less than it could."""
    PROBLEM = "problem"
    """It keeps the node from being tuned."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One thing, and what to do about it."""

    check: str
    state: State
    found: str
    remedy: str = ""
    """Empty: there is nothing to do."""


@dataclass(frozen=True)
class Diagnosis:
    """One node."""

    node: str
    tunable: str
    """True, False or Unknown: whether anything prevents tuning."""
    probed: bool
    """Whether the node itself was read, and not the API alone."""
    findings: tuple[Finding, ...]


Judged = tuple[State, str] | tuple[State, str, str] | None
"""State, what was found, and the remedy; None: it does not apply to this node."""


def diagnosis(node: str, facts: NodeFacts) -> Diagnosis:
    """Return everything that can be said of a node."""
    findings = tuple(_findings(facts))
    states = {finding.check: finding.state for finding in findings}
    tunable = "True"
    if State.PROBLEM in states.values():
        tunable = "False"
    elif any(states.get(check) is State.UNKNOWN for check in ESSENTIAL):
        tunable = "Unknown"
    return Diagnosis(node, tunable, facts.probed, findings)


def _findings(facts: NodeFacts) -> list[Finding]:
    found = []
    for check, judge in CHECKS.items():
        judged = judge(facts)
        if judged is None:
            continue
        state, said, *remedies = judged
        to_know = BY_HAND if facts.probed else PROBE
        what = remedies[0] if remedies else to_know if state is State.UNKNOWN else ""
        found.append(Finding(check, state, said, what))
    return found


def _unknown(said: str = "not known") -> Judged:
    return State.UNKNOWN, said


def _kernel(facts: NodeFacts) -> Judged:
    if facts.linux is False:
        return State.PROBLEM, "no Linux", "use a node with Linux: nothing else has DAMON"
    version = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", facts.release or "", re.ASCII)
    if facts.release is None or version is None:
        return _unknown(facts.release or "not known")
    if (int(version[1]), int(version[2])) >= _OLDEST:
        return State.OK, facts.release
    said, newer = f"{facts.release}: older than 6.1", "use a kernel of 6.1 or later"
    if facts.damon or facts.served_by_reclaim:
        return State.WARNING, f"{said}, with parts of newer ones; nobody has tried that", newer
    return State.PROBLEM, said, f"{newer} (docs/distributions.md says which have DAMON)"


def _damon(facts: NodeFacts) -> Judged:
    if facts.unusable and (served := facts.served_by_reclaim):
        what = remedy(facts.unusable.reason)
        return State.WARNING, f"{facts.unusable.message or what.meaning}; {served}", what.action
    if facts.damon is False:
        return State.PROBLEM, "the kernel has no DAMON sysfs", remedy("NoDamon").action
    if facts.vaddr is False:
        said = "it cannot monitor the memory of processes (CONFIG_DAMON_VADDR)"
        return State.PROBLEM, said, remedy("NoDamon").action
    if facts.damon and facts.vaddr:
        return State.OK, "it is there, and can monitor the memory of processes"
    if facts.damon:
        return _unknown("its sysfs is there; whether it can monitor processes is not known")
    return _unknown()


def _features(facts: NodeFacts) -> Judged:
    if facts.damon is False:
        return None
    if facts.features is None:
        wait = "nothing to do: the agent finds out by looking, once it works on this node"
        return State.UNKNOWN, "not known", wait
    return State.OK, ", ".join(facts.features) or "none beyond those of Linux 6.1"


def _holder(facts: NodeFacts) -> Judged:
    if facts.damon is False:
        return None
    if facts.holders is None:
        return None if facts.served_by_reclaim else _unknown()
    others = [holder for holder in facts.holders if holder.owner is not Owner.OURS]
    if others:
        reasons = {"DamonStatEnabled" if o.owner is Owner.STAT else "DamonBusy" for o in others}
        what = "; ".join(remedy(reason).action for reason in sorted(reasons))
        state = State.WARNING if facts.served_by_reclaim else State.PROBLEM
        return state, "; ".join(holder.name for holder in others), what
    return State.OK, "; ".join(holder.name for holder in facts.holders) or "nobody"


def _agent(facts: NodeFacts) -> Judged:
    if facts.agent is None:
        return None
    said, what = facts.agent, remedy(facts.agent.reason)
    told = f"{said.reason}: {said.message or what.meaning}"
    if said.ready == "Unknown":
        return State.UNKNOWN, told, what.action
    if said.ready == "True" and said.reason not in _LIMITS:
        return State.OK, told
    waits = said.ready == "True" or said.reason in {*_WAITING, *LIMITATIONS}
    return State.WARNING if waits else State.PROBLEM, told, what.action


def _memory_reclaim(facts: NodeFacts) -> Judged:
    told = facts.reclaim
    if told is None:
        return _reclaim_file(facts)
    if told.takes is Takes.OFF:
        if not facts.unusable:
            return State.OK, f"off: {_STAYS}"
        what = "set agent.memoryReclaim of the chart (read docs/security.md first)"
        return State.WARNING, "off, and DAMON cannot be used", what
    if told.takes is Takes.NOTHING:
        said = f"nothing goes: {told.message or 'the agent does not say why'}"
        return (State.WARNING, said, "read the message") if told.due else (State.OK, said)
    said = f"{taken(told.takes)} of pods can go"
    if told.message:
        return State.WARNING, f"{said}; {told.message}", "read the message"
    return State.OK, said


_STAYS: Final = "page cache that no process maps stays"


def _reclaim_file(facts: NodeFacts) -> Judged:
    if facts.reclaim_file is None:
        return None if facts.cgroup_version == 1 else _unknown()
    if facts.reclaim_file:
        return State.OK, "the kernel has it; whether it knows swappiness=0 only an agent finds out"
    return State.WARNING, f"the kernel has none: {_STAYS}", "use cgroup v2 and Linux 5.19 or later"


def _swap(facts: NodeFacts) -> Judged:
    total, free = facts.swap_total_bytes, facts.swap_free_bytes
    if total == 0:
        return State.WARNING, remedy("NoSwap").meaning, remedy("NoSwap").action
    if total is None:
        return _unknown()
    if free is None:
        return _unknown(f"{shown_bytes(total)}; how much of it is used is not known")
    said = f"{shown_bytes(total)}, {shown_bytes(max(0, total - free))} used"
    if free * 1000 < total * _FULL_PERMILLE:
        return State.WARNING, f"{said}: it is full", remedy("SwapFull").action
    return State.OK, said


def _swap_device(facts: NodeFacts) -> Judged:
    if facts.swap_total_bytes == 0:
        return None
    if not facts.swap_kinds:
        return _unknown()
    said = ", ".join(dict.fromkeys(facts.swap_kinds))
    if "zram" not in facts.swap_kinds:
        return State.OK, f"{said}, behind zswap" if facts.zswap else said
    if facts.zram_limited is None:
        return _unknown(f"{said}; whether it has a mem_limit is not known")
    if facts.zram_limited:
        limited = ", ".join(facts.zram_limited)
        what = "set no mem_limit, or a disksize so low that it is never met (docs/operations.md)"
        return State.WARNING, f"{said}; {limited} has a mem_limit: writes to it may fail", what
    return State.OK, said


def _pod_swap(facts: NodeFacts) -> Judged:
    if facts.swap_total_bytes == 0:
        return None
    pods, limits = facts.pods, facts.swap_limits
    trapped = ""
    if pods and (pods.guaranteed or pods.best_effort or pods.fixed):
        trapped = (
            f"; LimitedSwap gives no swap to Guaranteed pods ({pods.guaranteed} here), BestEffort "
            f"pods ({pods.best_effort}) and containers with request = limit ({pods.fixed} pods)"
        )
    if limits is None:
        return _unknown(f"not known{trapped}")
    if not limits.nothing:
        return State.OK, f"all of {limits.every} {limits.what} may swap"
    said = f"{limits.nothing} of {limits.every} {limits.what} may not swap (memory.swap.max is 0)"
    if limits.nothing < limits.every and (limits.limited or limits.what != "containers"):
        what = "give pods whose cold memory should go a memory request below their limit: Burstable"
    else:
        what = "set the kubelet's memorySwap.swapBehavior to LimitedSwap, and failSwapOn to false"
    return State.WARNING, f"{said}{trapped}", what


def _cgroup(facts: NodeFacts) -> Judged:
    if facts.cgroup_version == 2:
        return State.OK, "v2"
    if facts.cgroup_version is None:
        return _unknown()
    said = "v1: without the brake, bytes given up and LimitedSwap, which need v2"
    return State.WARNING, said, "boot the node with cgroup v2 (systemd.unified_cgroup_hierarchy=1)"


def _memory_qos(facts: NodeFacts) -> Judged:
    if facts.cgroup_version == 1:
        return None
    if facts.throttled is None:
        return _unknown()
    if not facts.throttled:
        return State.OK, "no container has a memory.high"
    said = f"{facts.throttled} containers have a memory.high: above it they reclaim from themselves"
    return State.WARNING, said, "raise their limits, or leave the kubelet's MemoryQoS feature off"


def _page_size(facts: NodeFacts) -> Judged:
    size = facts.page_bytes
    if size not in {4096, 16384, 65536}:
        return _unknown()
    more = "" if size == 4096 else ": memory is cold or not in pieces of this size"
    return State.OK, f"{shown_bytes(size)}{more}"


def _transparent_huge(facts: NodeFacts) -> Judged:
    match facts.transparent_huge:
        case "madvise" | "never":
            return State.OK, facts.transparent_huge
        case "none":
            return State.OK, "the kernel has none"
        case "always":
            said = "always: a huge page with a small hot part looks hot as a whole"
            return State.WARNING, said, "choose madvise if too little is found cold (docs/faq.md)"
        case _:
            return _unknown()


def _huge(facts: NodeFacts) -> Judged:
    huge, memory = facts.huge_bytes, facts.memory_bytes
    if huge is None or memory is None:
        return _unknown()
    if not huge:
        return State.OK, "none"
    said = f"{shown_bytes(huge)} of {shown_bytes(memory)}: never reclaimed, nor counted in marks"
    if huge * 2 > memory:
        return State.WARNING, said, "reserve no more huge pages than pods ask for"
    return State.OK, said


def _mglru(facts: NodeFacts) -> Judged:
    if facts.mglru is None:
        return _unknown()
    return State.OK, "on" if facts.mglru else "off"


CHECKS: Final[Mapping[str, Callable[[NodeFacts], Judged]]] = {
    "Kernel": _kernel,
    "Damon": _damon,
    "Features": _features,
    "Holder": _holder,
    "Agent": _agent,
    "MemoryReclaim": _memory_reclaim,
    "Swap": _swap,
    "SwapDevice": _swap_device,
    "PodSwap": _pod_swap,
    "Cgroup": _cgroup,
    "MemoryQoS": _memory_qos,
    "PageSize": _page_size,
    "TransparentHugePages": _transparent_huge,
    "HugePages": _huge,
    "MultiGenLRU": _mglru,
}
ESSENTIAL: Final = ("Kernel", "Damon", "Holder")
"""Without knowing these nobody can say that nothing prevents tuning."""
