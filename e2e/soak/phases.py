"""The run: phases of faults, each followed by quiet and an equality; and the looks between."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from damon_mock.demo import expectation
from soak import faults, hostile, judge
from soak.meter import Meter
from soak.pods import Churn, real_pods
from soak.program import tracebacks
from soak.stage import PAPER_NODES, Node, Stage

KINDS: Final[tuple[faults.Kind, ...]] = (
    faults.kill_operators, faults.kill_agents, faults.stop_agents, faults.pause_programs,
    faults.api_away, faults.cut_off, faults.silent_watches, faults.blind_watches,
    faults.expired_watches, faults.refusals, faults.restored_store, faults.skewed_lease,
    faults.altered_plans, faults.damaged_state, faults.full_disk, faults.busy_kernel,
    faults.refused_commits, faults.hung_commits, faults.foreign_kdamonds, faults.damon_stat,
    faults.modes, faults.memory, faults.reboots,
    hostile.huge_pods, hostile.forks, hostile.crash_loops, hostile.odd_cgroups, hostile.odd_files,
)  # fmt: skip

PODS_PER_MINUTE: Final = 5000 / 60
_PHASE_S: Final = 60.0
"""About how long a phase takes with its quiet: what the churn is spread over."""
_CHURN_S: Final = 20.0
_PATIENCE_S: Final = 180.0
"""Above the 90 s after which a silent watch is noticed, and the longest back-off after that."""
_ROUND_S: Final = 1.0
"""Patience is counted in rounds: on a machine that gives us no time they take longer."""
_TWICE_S: Final = 3.0
_LOOK_S: Final = 1.0


def schedule(
    seed: int, kinds: tuple[faults.Kind, ...] = KINDS
) -> Iterator[tuple[int, tuple[faults.Kind, ...]]]:
    """Yield phases without end: a number, and one to three kinds; all kinds before any again."""
    random = Random(seed)  # noqa: S311 - a schedule
    deck: list[faults.Kind] = []
    for number in range(1, 1_000_000):
        chosen: list[faults.Kind] = []
        for _ in range(min(random.randint(1, 3), len(kinds))):
            if not deck:
                deck = [kind for kind in kinds if kind not in chosen]
                random.shuffle(deck)
            chosen.append(deck.pop())
        yield number, tuple(chosen)


@dataclass
class Phase:
    """What came of one phase."""

    number: int
    kinds: tuple[str, ...]
    settled_s: float = 0.0
    differences: tuple[str, ...] = ()


@dataclass
class Tally:
    """What was done and seen in all."""

    phases: list[Phase] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    lost_leases: int = 0
    ended: int = 0


class Soak:
    """Plays phases on a stage until the time is over."""

    def __init__(self, stage: Stage, seed: int, kinds: tuple[faults.Kind, ...] = KINDS) -> None:
        self.stage = stage
        self.seed = seed
        self._kinds = kinds
        self.tally = Tally()
        self.meter = Meter()
        self.watches = {node.name: judge.Watch() for node in stage.nodes}
        self.churn = stage.churn = Churn(stage)
        self._began_s = time.monotonic()

    def elapsed_s(self) -> float:
        """Return how long it runs."""
        return time.monotonic() - self._began_s

    async def play(self, seconds: float) -> None:
        """Play phases, and in the end take everything away."""
        looking = asyncio.create_task(self._look())
        guarding = asyncio.create_task(self._guard())
        try:
            await self._begin()
            until_s = self.elapsed_s() + seconds
            for number, kinds in schedule(self.seed, self._kinds):
                if self.elapsed_s() > until_s:
                    break
                await self._phase(number, kinds)
            await self._end()
        finally:
            for task in (looking, guarding):
                task.cancel()
            ended = await asyncio.gather(looking, guarding, return_exceptions=True)
            for outcome in ended:
                if isinstance(outcome, Exception):
                    raise outcome

    async def _begin(self) -> None:
        await self.churn.settle(Random(f"{self.seed}/settle"))  # noqa: S311 - a schedule
        self.stage.api.cluster.create(self.stage.tuning())
        await self._quiet(Phase(0, ("start",)))

    async def _phase(self, number: int, kinds: tuple[faults.Kind, ...]) -> None:
        names = tuple(kind.__name__ for kind in kinds)
        self.stage.log.info("phase %d: %s", number, ", ".join(names))
        self.tally.kinds.update(names)

        def mine(name: str) -> Random:
            return Random(f"{self.seed}/{number}/{name}")  # noqa: S311 - a schedule

        if judge.wanted(self.stage.api.cluster).mode == "Off":
            self.stage.set_mode("Enforce")
        pods = round(PODS_PER_MINUTE * _PHASE_S / 60)
        harm = [kind(self.stage, mine(kind.__name__)) for kind in kinds]
        outcomes = await asyncio.gather(
            self.churn.run(mine("churn"), pods, _CHURN_S), *harm, return_exceptions=True
        )
        for name, outcome in zip(("churn", *names), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self.stage.complain(f"the soak itself: {name}: {outcome!r}")
        await self._quiet(Phase(number, names))

    async def _quiet(self, phase: Phase) -> None:
        """Wait for the equality; it has to hold twice."""
        began_s = time.monotonic()
        held_s: float | None = None
        for number in range(round(_PATIENCE_S / _ROUND_S)):
            found = tuple(await self._differences())
            if found and number and not number % 30:
                self.stage.log.info("not yet equal: %s", "; ".join(found[:3]))
            now_s = time.monotonic()
            if found:
                held_s = None
            elif held_s is None:
                held_s = now_s
            elif now_s - held_s >= _TWICE_S:
                break
            await asyncio.sleep(_ROUND_S)
        phase.settled_s = (held_s or now_s) - began_s
        phase.differences = found
        self.tally.phases.append(phase)
        self._logs()
        if found:
            self.stage.complain(f"phase {phase.number}, {', '.join(phase.kinds)}: no equality")
            for difference in found:
                self.stage.log.error("  %s", difference)
        else:
            targets = sum(watch.carried for watch in self.watches.values())
            self.stage.log.info(
                "phase %d: equal after %.1f s, %d targets", phase.number, phase.settled_s, targets
            )

    async def _differences(self) -> list[str]:
        cluster = self.stage.api.cluster
        wanted = judge.wanted(cluster)
        found = []
        for name in (*(node.name for node in self.stage.nodes), *PAPER_NODES):
            said = judge.of_plan(cluster.find("dn", name), wanted.plans.get(name, {}))
            found += [f"{name}: {difference}" for difference in said]
        looks = [await self._looked(node) for node in self.stage.nodes]
        members = judge.by_session()
        for node, look in zip(self.stage.nodes, looks, strict=True):
            pods = {}
            for pod in real_pods(node):
                sessions = [members.get(c.session, set()) for c in pod.containers.values()]
                pods[pod.uid] = (f"{pod.namespace}/{pod.name}", frozenset().union(*sessions))
            living = {uid: each for uid, each in pods.items() if each[1]}
            meter = judge.meter(node.simulated.memory)
            expected = expectation.on_node(living, wanted.decided, meter)
            said = judge.of_kernel(expected, judge.lanes(look), wanted.mode)
            told = judge.says_ready(cluster.find("dn", node.name))
            found += [f"{node.name} ({node.profile}): {d}" for d in (*said, *told)]
            if wanted.mode == "Off" and look["nr_kdamonds"]:
                found.append(f"{node.name}: Off, and nr_kdamonds is {look['nr_kdamonds']}")
        return found

    # -- all the time -----------------------------------------------------------------------------

    async def _looked(self, node: Node) -> dict[str, Any]:
        watch = self.watches[node.name]
        look = await node.ask("look", since_write=watch.writes, since_event=watch.events)
        for pod in real_pods(node):
            planned, protected = self.churn.born[pod.name]
            for container in pod.containers.values():
                watch.meet(container.session, planned=planned, protected=protected)
            watch.meet(pod.sandbox.session, planned=False, protected=True)
        for problem in watch.judge(look):
            self.stage.complain(f"{node.name} ({node.profile}): {problem}")
        return look

    async def _look(self) -> None:
        while True:
            for node in self.stage.nodes:
                await self._looked(node)
            await asyncio.sleep(_LOOK_S)

    async def _guard(self) -> None:
        """Notice programs that end by themselves, and what all of them hold."""
        while True:
            for program in (*self.stage.product, *(node.kernel for node in self.stage.nodes)):
                status = program.ended_by_itself()
                if status is not None:
                    await self._ended(program, status)
            for program in self.stage.product:
                usage = program.usage()
                if usage is not None:
                    self.meter.note(program.name, program.pid, self.elapsed_s(), usage)
            await asyncio.sleep(2)

    async def _ended(self, program: Any, status: int) -> None:
        """Start it again, as its kubelet would; a lost lease ends an operator by design."""
        if status == 1 and "LeaseLost" in program.tail(60):
            self.tally.lost_leases += 1
            self.stage.log.info("%s lost its lease and ended", program.name)
        else:
            self.tally.ended += 1
            self.stage.complain(f"{program.name} ended by itself with status {status}")
        async with program.lock:
            if not program.pid:
                await program.start()

    def _logs(self) -> None:
        for program in (*self.stage.product, *(node.kernel for node in self.stage.nodes)):
            for line in tracebacks(program.news()):
                self.stage.complain(f"{program.name}: a traceback in its log: {line}")

    # -- the end ----------------------------------------------------------------------------------

    async def _end(self) -> None:
        """Take everything away: nothing of ours may be left in any kernel."""
        cluster = self.stage.api.cluster
        with contextlib.suppress(Exception):
            cluster.delete("dt", "default")
        began_s = time.monotonic()
        for _ in range(round(_PATIENCE_S / _ROUND_S)):
            found = await self._left()
            if not found:
                break
            await asyncio.sleep(_ROUND_S)
        for what in found:
            self.stage.complain(f"left at the end: {what}")
        self.stage.log.info("uninstalled after %.1f s", time.monotonic() - began_s)
        for program in self.stage.product:
            async with program.lock:
                await program.stop()
        self._logs()

    async def _left(self) -> list[str]:
        found = [f"DamonNode {n['metadata']['name']}" for n in self.stage.api.cluster.list("dn")]
        for node in self.stage.nodes:
            look = await self._looked(node)
            if look["nr_kdamonds"]:
                found.append(f"{node.name}: nr_kdamonds {look['nr_kdamonds']}")
            if (node.state / "record.json").exists():
                found.append(f"{node.name}: an ownership record")
        return found
