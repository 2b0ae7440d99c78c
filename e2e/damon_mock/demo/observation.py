"""What is in the kernel: the emulator's kernel copy and its sysfs files, not anybody's report."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .expectation import ExpectedPod

_KTHREADD: Final = 2


@dataclass(frozen=True)
class ObservedLane:
    """One running kdamond."""

    index: int
    thread: int
    """Pid of the kdamond."""
    pids: tuple[int, ...]
    """Live targets, in the order of their slots."""
    action: str
    """Action of the reclaiming scheme; "" where there is only the counting one."""
    metric: str
    watermark: int
    """High and mid mark, per mille of free memory; 0 with metric none."""

    @property
    def role(self) -> str:
        """What its schemes make of it."""
        if not self.action:
            return "protected"
        return "eager" if self.metric == "none" else "ladder"


@dataclass(frozen=True)
class Observation:
    """One node at one moment."""

    lanes: tuple[ObservedLane, ...]
    nr_kdamonds: str
    sysfs: Mapping[str, str]
    writes: int
    """Writes so far."""
    inherited: int
    """Live targets that carry the ages of another process: must be 0, always."""


def read(dump: Mapping[str, Any]) -> Observation:
    """Return what a dump of the emulator shows."""
    return Observation(
        lanes=tuple(_lanes(dump)),
        nr_kdamonds=dump["sysfs"].get("damon/admin/kdamonds/nr_kdamonds", "").strip(),
        sysfs={path: value.strip() for path, value in dump["sysfs"].items()},
        writes=dump["nr_writes"],
        inherited=len(dump["inherited"]),
    )


def _lanes(dump: Mapping[str, Any]) -> Iterator[ObservedLane]:
    for kdamond in dump["kdamonds"]:
        context = kdamond["context"]
        if not kdamond["running"] or context is None:
            continue
        processes = [target["process"] for target in context["targets"]]
        reclaiming = context["schemes"][1:]
        nothing: dict[str, Any] = {"metric": "none", "mid": 0}
        watermarks = reclaiming[0]["watermarks"] if reclaiming else nothing
        yield ObservedLane(
            index=kdamond["index"],
            thread=kdamond["pid"],
            pids=tuple(p["pid"] for p in processes if p is not None and p["pid"] != _KTHREADD),
            action=reclaiming[0]["action"] if reclaiming else "",
            metric=watermarks["metric"],
            watermark=watermarks["mid"] if watermarks["metric"] != "none" else 0,
        )


def differences(expected: tuple[ExpectedPod, ...], observed: Observation) -> list[str]:
    """Return what is not as expected, in words; empty when all is."""
    found: list[str] = []
    carried = {pid: lane for lane in observed.lanes for pid in lane.pids}
    total = sum(len(lane.pids) for lane in observed.lanes)
    if total != len(carried):
        found.append("a process is the target of two kdamonds")
    if observed.inherited:
        found.append(f"{observed.inherited} targets carry the ages of another process")
    for lane in observed.lanes:
        found.extend(_untidy(lane, observed.sysfs))
    wanted = {pid for pod in expected for pid in pod.pids}
    if extra := sorted(carried.keys() - wanted):
        found.append(f"targets that belong to no planned pod: {extra}")
    for pod in expected:
        found.extend(_of_pod(pod, carried))
    return found


def _untidy(lane: ObservedLane, sysfs: Mapping[str, str]) -> Iterator[str]:
    """Yield targets whose regions the next commit would begin anew; after one they are removed."""
    for slot in itertools.count():
        target = f"damon/admin/kdamonds/{lane.index}/contexts/0/targets/{slot}"
        if (pid := sysfs.get(f"{target}/pid_target")) is None:
            return
        if int(pid) in lane.pids and sysfs.get(f"{target}/regions/nr_regions") != "0":
            yield f"kdamond {lane.index}: target {slot} still has initial regions"


def _of_pod(pod: ExpectedPod, carried: Mapping[int, ObservedLane]) -> Iterator[str]:
    if missing := sorted(pod.pids - carried.keys()):
        yield f"{pod.name}: no target for {missing}"
    for lane in {carried[pid] for pid in pod.pids & carried.keys()}:
        if lane.role != pod.role:
            yield f"{pod.name}: kdamond {lane.index} is {lane.role}, expected {pod.role}"
        elif pod.watermark is not None and lane.watermark != pod.watermark:
            yield f"{pod.name}: watermark {lane.watermark}, expected {pod.watermark}"
        elif lane.action != pod.action:
            yield f"{pod.name}: action {lane.action!r}, expected {pod.action!r}"


def lane_of(pod: ExpectedPod, observed: Observation) -> ObservedLane | None:
    """Return the lane that carries a pod's processes."""
    return next((lane for lane in observed.lanes if pod.pids & set(lane.pids)), None)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the files that read otherwise than before, as lines `path: old -> new`."""
    lines = []
    for path in sorted(before.keys() | after.keys(), key=_natural):
        old, new = before.get(path), after.get(path)
        if old != new:
            shown = path.removeprefix("damon/admin/kdamonds/")
            lines.append(f"{shown}: {old if old is not None else '-'} -> {new or '-'}")
    return lines


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdigit() else (-1, p) for p in path.split("/")]
