"""What a driver is asked to make true: a plan with processes instead of containers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from damon_agent.facts import MemoryReading, Process
from damon_contract.quantities import shown_duration

__all__ = [
    "Intent",
    "Member",
    "MemoryReading",
    "Process",
    "effective_priorities",
    "longest_min_age_us",
    "shown_min_age",
]


@dataclass(frozen=True, slots=True)
class Member:
    """One process of one planned pod."""

    process: Process
    pod_uid: str
    """metadata.uid of the pod."""
    priority: int
    """1..100 in the Kubernetes sense: higher = more important = reclaimed later."""
    spared: bool = False
    """Whether the brake keeps it from being reclaimed: it is only watched for now."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A plan in the kernel's units; the fields mean what those of DamonTuning mean."""

    plan: str
    """Hash of the plan: what was applied of one says nothing about another."""
    mode: Literal["Observe", "Enforce", "Off"]
    protect_from: int
    eager_up_to: int
    sample_us: int
    aggregation_us: int
    update_us: int
    action: Literal["pageout", "cold"]
    min_age_us: int
    """Of every priority that `min_ages_us` does not name. What cold memory means in figures, and
    how slowly lanes look that take nothing, goes by this one alone."""
    quota_bytes: int | None
    """Bytes per window and lane; None: no quota."""
    quota_window_us: int | None
    """None: one aggregation."""
    metric: Literal["AvailableMemory", "FreeMemory"]
    interval_us: int
    """How often the kernel compares watermarks, and the agent looks at available memory."""
    floor_permille: int | None
    """None: the driver puts it above the zones' watermarks and `reserved_bytes`."""
    ceiling_permille: int
    scaling: Literal["Relative", "Absolute"]
    reserved_bytes: int
    """Node capacity minus allocatable memory."""
    members: tuple[Member, ...]
    """The processes in the order of the plan. Each once: drivers rely on it."""
    memory: MemoryReading
    max_plan_age_us: int
    """How long a scheme may go on without the agent, where the kernel can count that."""
    halted: bool = False
    """Whether every lane is only to watch, because the agent is about to end or swap is used up.
    Ages are kept."""
    min_ages_us: Mapping[int, int] = field(default_factory=dict)
    """By priority, where the agent has chosen it (`tuning: Auto`)."""
    grown_us: Mapping[Process, int] = field(default_factory=dict)
    """When processes were seen to have grown, of those that have: no region may be older."""


def longest_min_age_us(intent: Intent, priorities: Iterable[int]) -> int:
    """Return how long memory must be idle before a lane of these priorities takes it."""
    return max(intent.min_ages_us.get(each, intent.min_age_us) for each in priorities)


def effective_priorities(intent: Intent) -> dict[Process, int]:
    """Return the priority that each process is treated by: its own, or, spared, a protected one.

    That is the lowest protected priority there is anyway, so that no lane is opened for it.
    """
    protected = [m.priority for m in intent.members if m.priority >= intent.protect_from]
    refuge = min(protected, default=intent.protect_from)
    return {
        member.process: max(member.priority, refuge) if member.spared else member.priority
        for member in intent.members
    }


def shown_min_age(intent: Intent, priorities: Iterable[int]) -> str | None:
    """Return that age for a status, where the agent has chosen it for any of these priorities."""
    told = tuple(priorities)
    if intent.min_ages_us.keys().isdisjoint(told):
        return None
    return shown_duration(longest_min_age_us(intent, told))
