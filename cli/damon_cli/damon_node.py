"""A DamonNode as this program reads it: what is missing or unknown is left out, never refused.

Agents and operators of other versions write it, and a person wants to know of those as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from damon_contract import names
from damon_contract.v1alpha1.node import SERVED_OTHERWISE, UNAVAILABLE
from damon_contract.v1alpha1.tuning import MIN_AGE

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """A condition of the node; `status` Unknown where there is none."""

    status: str = "Unknown"
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Lane:
    """One kdamond."""

    kdamond: int
    priorities: tuple[int, ...]
    role: str
    """Protected, Ladder or Eager."""
    mark_permille: int | None
    active: bool
    """Whether it reclaims now."""
    pods: int
    min_age: str = ""
    """How long memory must be idle before it goes, where `tuning: Auto` has chosen that."""


@dataclass(frozen=True)
class MemoryReclaim:
    """What goes by memory.reclaim of pods' cgroups."""

    takes: str
    """FilePages, AllMemory or Nothing."""
    message: str = ""
    """Why nothing does, or what is wrong."""


@dataclass(frozen=True)
class Reclaimed:
    """What went by memory.reclaim of one pod, since its agent started."""

    file_bytes: int
    working_set_bytes: int
    """By how much less the kubelet counts as in use."""
    spared_until: str | None
    spared_cause: str | None


@dataclass(frozen=True)
class Figures:
    """What the agent knows of one planned pod."""

    kdamond: int | None
    processes: int
    swappable: bool
    cold_bytes: int | None
    given_up_bytes: int | None
    refaulted_bytes: int | None
    spared_until: str | None
    spared_cause: str | None
    reclaimed: Reclaimed | None
    """None: it was not asked for anything."""


@dataclass(frozen=True)
class Planned:
    """One pod of the plan."""

    namespace: str
    name: str
    uid: str
    priority: int
    source: str
    containers: tuple[str, ...]
    """Names."""


@dataclass(frozen=True)
class DamonNode:
    """The plan of one node, and what came of it."""

    name: str
    tuning: str
    mode: str
    protect_from: int
    eager_up_to: int
    min_age: str
    action: str
    brake_enabled: bool
    planned: tuple[Planned, ...]
    left_out: int
    """Pods beyond those that fit into a plan."""
    reported: bool
    """Whether an agent has ever spoken."""
    current: bool
    """Whether the agent speaks of the plan that stands."""
    ready: Condition
    available: Condition
    capacity_bytes: int
    available_bytes: int
    swap_total_bytes: int | None
    """None: not known."""
    floor_permille: int | None
    ceiling_permille: int | None
    """The ladder's ends, as the agent has them; None: not known."""
    floor_is_automatic: bool
    """Whether the agent has chosen the floor."""
    scaling: str
    """Relative or Absolute: who gets the ceiling."""
    lanes: tuple[Lane, ...]
    figures: Mapping[str, Figures]
    """By uid."""
    memory_reclaim: MemoryReclaim | None
    """None: the agent may not write it, or has not looked."""
    revision: str = ""
    """Of the policy that its plan is made by; empty: its tuning has no rollout."""

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """Read a DamonNode."""
        spec, status = _part(raw, "spec"), _part(raw, "status")
        settings, memory = _part(spec, "settings"), _part(status, "memory")
        reclaim, marks = _part(settings, "reclaim"), _part(settings, "watermarks")
        conditions = {c.get("type"): c for c in status.get("conditions") or ()}
        return cls(
            name=str(_part(raw, "metadata").get("name")),
            tuning=str(spec.get("tuning") or ""),
            mode=str(spec.get("mode") or ""),
            protect_from=_number(settings, "protectFrom", 80),
            eager_up_to=_number(settings, "eagerUpTo", 20),
            min_age=str(reclaim.get("minAge") or MIN_AGE),
            action=str(reclaim.get("action") or "pageout"),
            brake_enabled=_part(settings, "brake").get("enabled", True) is True,
            planned=tuple(_planned(each) for each in spec.get("pods") or ()),
            left_out=_number(spec, "podsLeftOut"),
            reported=bool(conditions),
            current=bool(spec.get("hash")) and status.get("observedHash") == spec.get("hash"),
            ready=_condition(conditions.get("Ready")),
            available=_condition(conditions.get("DamonAvailable")),
            capacity_bytes=_number(memory, "capacityBytes"),
            available_bytes=_number(memory, "availableBytes"),
            swap_total_bytes=_known(memory, "swapTotalBytes"),
            floor_permille=_known(memory, "floorPermille"),
            ceiling_permille=_known(memory, "ceilingPermille"),
            floor_is_automatic=marks.get("floorPermille") is None,
            scaling=str(marks.get("scaling") or "Relative"),
            lanes=tuple(_lane(each) for each in status.get("lanes") or ()),
            figures={
                str(each.get("uid")): _figures(each)
                for each in status.get("pods") or ()
                if isinstance(each, Mapping)
            },
            memory_reclaim=_memory_reclaim(status.get("memoryReclaim")),
            revision=str(_part(_part(raw, "metadata"), "labels").get(names.REVISION_LABEL) or ""),
        )

    @property
    def available_permille(self) -> int | None:
        """Return the memory that is available, in per mille of the capacity, as last reported."""
        if self.capacity_bytes <= 0:
            return None
        return self.available_bytes * 1000 // self.capacity_bytes

    @property
    def without_damon(self) -> bool:
        """Say whether DAMON as a whole cannot be used on this node."""
        return self.available.reason in UNAVAILABLE

    @property
    def automatic_floor_permille(self) -> int | None:
        """Return the ladder's floor where the agent has chosen it, as far as it is known."""
        return self.floor_permille if self.floor_is_automatic else None

    @property
    def takes(self) -> str:
        """Return what goes by memory.reclaim: FilePages, AllMemory; empty: nothing."""
        told = self.memory_reclaim
        if told is None or told.takes == "Nothing" or self.mode != "Enforce":
            return ""
        if self.without_damon and self.available.reason not in SERVED_OTHERWISE:
            return ""
        return told.takes

    @property
    def has_reclaim_alone(self) -> bool:
        """Say whether memory.reclaim serves the pods instead of DAMON."""
        return self.without_damon and bool(self.takes)

    def role(self, priority: int) -> str:
        """Return what is done with pods of a priority, each for itself."""
        if priority >= self.protect_from:
            return "Protected"
        return "Eager" if priority <= self.eager_up_to else "Ladder"

    def lane_of(self, uid: str) -> Lane | None:
        """Return the lane that carries a pod, if any does; none where memory.reclaim is alone."""
        known = self.figures.get(uid)
        if known is None or known.kdamond is None or self.has_reclaim_alone:
            return None
        return next((lane for lane in self.lanes if lane.kdamond == known.kdamond), None)

    def pod(self, uid: str) -> Planned | None:
        """Return a pod of the plan."""
        return next((pod for pod in self.planned if pod.uid == uid), None)


def _part(raw: Raw, name: str) -> Raw:
    part = raw.get(name)
    return part if isinstance(part, Mapping) else {}


def _number(raw: Raw, name: str, default: int = 0) -> int:
    value = raw.get(name)
    return value if isinstance(value, int) else default


def _known(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return value if isinstance(value, int) else None


def _condition(raw: Raw | None) -> Condition:
    if raw is None:
        return Condition()
    return Condition(*(str(raw.get(name) or "") for name in ("status", "reason", "message")))


def _lane(raw: Raw) -> Lane:
    return Lane(
        kdamond=_number(raw, "kdamond"),
        priorities=tuple(raw.get("priorities") or ()),
        role=str(raw.get("role") or ""),
        mark_permille=_known(raw, "markPermille"),
        active=raw.get("active") is True,
        pods=_number(raw, "pods"),
        min_age=str(raw.get("minAge") or ""),
    )


def _figures(raw: Raw) -> Figures:
    spared = _part(raw, "spared")
    return Figures(
        kdamond=_known(raw, "kdamond"),
        processes=_number(raw, "processes"),
        swappable=raw.get("swappable", True) is True,
        cold_bytes=_known(raw, "coldBytes"),
        given_up_bytes=_known(raw, "givenUpBytes"),
        refaulted_bytes=_known(raw, "refaultedBytes"),
        spared_until=spared.get("until"),
        spared_cause=spared.get("cause"),
        reclaimed=_reclaimed(raw.get("reclaim")),
    )


def _memory_reclaim(raw: Any) -> MemoryReclaim | None:
    if not isinstance(raw, Mapping) or not raw.get("takes"):
        return None
    return MemoryReclaim(str(raw["takes"]), str(raw.get("message") or ""))


def _reclaimed(raw: Any) -> Reclaimed | None:
    if not isinstance(raw, Mapping):
        return None
    spared = _part(raw, "spared")
    return Reclaimed(
        file_bytes=_number(raw, "fileBytes"),
        working_set_bytes=_number(raw, "workingSetBytes"),
        spared_until=spared.get("until"),
        spared_cause=spared.get("cause"),
    )


def _planned(raw: Raw) -> Planned:
    return Planned(
        namespace=str(raw.get("namespace") or ""),
        name=str(raw.get("name") or ""),
        uid=str(raw.get("uid") or ""),
        priority=_number(raw, "priority"),
        source=str(raw.get("source") or ""),
        containers=tuple(str(c.get("name")) for c in raw.get("containers") or ()),
    )
