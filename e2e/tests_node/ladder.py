"""The ladder on the node: what is put in force, what must come of it, and how it is driven."""

import signal
from dataclasses import dataclass
from typing import Final

from harness.api import Body, eventually
from harness.workloads import Workloads
from tests_node.pods import COLD_MIB, POD_S, filler
from tests_node.scene import MIB, Scene, Seen

EFFECT_S: Final = 300.0
FLOOR_PERMILLE: Final = 100
MARGIN_PERMILLE: Final = 100
PAGE_BYTES: Final = 4096
RUNGS: Final = ("eager", "low", "middle", "protected")
"""The victims that may swap, in the order in which they have to give up their cold memory."""
UNSWAPPABLE: Final = ("best-effort", "guaranteed")


@dataclass(frozen=True)
class Marks:
    """Below which share of available memory, in per mille, the pods of each priority give up."""

    ceiling: int
    low: int
    middle: int


def marks_below(available: int) -> Marks:
    """Return a ladder whose first mark is safely below what is available now.

    docs/adr/0002 with protectFrom 80, so that r0 = 21, and priority 10 as the least important one.
    """
    low = available - MARGIN_PERMILLE
    ceiling = FLOOR_PERMILLE + (low - FLOOR_PERMILLE) * (91 - 21) // (71 - 21)

    def mark(priority: int) -> int:
        rank = 101 - priority
        return FLOOR_PERMILLE + (rank - 21) * (ceiling - FLOOR_PERMILLE) // (91 - 21)

    return Marks(ceiling=ceiling, low=mark(30), middle=mark(60))


def tuning(ceiling: int) -> Body:
    """Return a tuning that finds cold memory in seconds."""
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": "default"},
        "spec": {
            "mode": "Enforce",
            "monitoring": {
                "sampleInterval": "220ms",
                "aggregationInterval": "1s",
                "updateInterval": "2s",
            },
            "reclaim": {"minAge": "6s"},
            # Victims touch all their memory at once; that this hurts is proved elsewhere.
            "brake": {"enabled": False},
            "watermarks": {
                "interval": "2s",
                "floorPermille": FLOOR_PERMILLE,
                "ceilingPermille": ceiling,
            },
        },
    }


def lost(seen: Seen, victims: dict[str, Body]) -> dict[str, int]:
    """Return how many MiB of each victim's memory are in swap, where it is any."""
    sizes = {name: seen.of(pod).swap_bytes for name, pod in victims.items()}
    return {name: -(-size // MIB) for name, size in sizes.items() if size}


def gave_up(seen: Seen, pod: Body) -> bool:
    """Tell whether most of a victim's cold memory is in swap."""
    return seen.of(pod).areas["cold"].swap_bytes >= COLD_MIB * MIB * 3 // 4


def misplaced(seen: Seen, victims: dict[str, Body]) -> list[str]:
    """Return what the kernel's targets and schemes are otherwise than they must be."""
    found = []
    carriers = {}
    for name, pod in victims.items():
        pids = seen.of(pod).pids
        carriers[name] = seen.carriers(pids)
        if len(carriers[name]) != 1 or not pids <= set(carriers[name][0].targets):
            found.append(f"{name}: processes {sorted(pids)} are targets of {carriers[name]}")
    if found:
        return found
    lanes = {name: lanes[0].pid for name, lanes in carriers.items()}
    shared = {lanes[name] for name in ("eager", *UNSWAPPABLE)}
    if len(shared) != 1 or len({lanes[name] for name in RUNGS}) != len(RUNGS):
        found.append(f"not a kdamond for each priority: {lanes}")
    for name in RUNGS:
        # The first scheme only counts. A lane that sleeps has its acting one too, as `stat`.
        acting = carriers[name][0].actions[1:]
        allowed = {"protected": [()], "eager": [("pageout",)]}.get(name, [("stat",), ("pageout",)])
        if acting not in allowed:
            found.append(f"{name}: its kdamond's schemes are {carriers[name][0].actions}")
    running = {k.pid for k in seen.kdamonds if k.state == "on"}
    if running != seen.threads:
        found.append(f"kdamonds {running} are on, threads {seen.threads} run")
    return found


def until_gone(scene: Scene, victims: dict[str, Body], name: str) -> Seen:
    """Wait until a victim has given up its cold memory; return what was seen then."""

    def look() -> Seen | None:
        seen = scene.look()
        return seen if gave_up(seen, victims[name]) else None

    return eventually(f"{name} gives up its cold memory", look, EFFECT_S)


def squeeze(scene: Scene, workloads: Workloads, name: str, *, to_permille: int) -> None:
    """Take memory from the node by one more pod, until no more than that is available."""
    memory = scene.look().memory
    size = memory["MemAvailable"] - memory["MemTotal"] * to_permille // 1000
    workloads.create(filler(name, size // MIB))
    workloads.running(name, within_s=POD_S)
    tolerance_permille = 30
    eventually(
        f"at most {to_permille} permille are available",
        lambda: scene.look().available_permille <= to_permille + tolerance_permille,
        EFFECT_S,
    )


def rewarm(scene: Scene, victims: dict[str, Body], *names: str) -> None:
    """Let victims that gave up their memory touch all of it, and wait until most has come back.

    It may be gone again by then: what has come back is counted, not what is there.
    """
    before = scene.look()
    for name in names:
        scene.signal(before.of(victims[name]).pids, signal.SIGUSR1)

    def back() -> bool:
        seen = scene.look()
        came = [
            seen.of(victims[name]).major_faults - before.of(victims[name]).major_faults
            for name in names
        ]
        return min(came) >= COLD_MIB * MIB // PAGE_BYTES // 2

    eventually(f"{', '.join(names)} have their memory back", back, EFFECT_S)
