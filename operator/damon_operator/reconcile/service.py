"""The use case: streams in, plans out. Knows no kopf and no HTTP."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from damon_contract import names
from damon_contract.v1alpha1.tuning import AnnotationBounds, DamonTuningStatus
from damon_contract.watches import Backoff
from damon_operator import resources
from damon_operator.facts import (
    Accounts,
    Part,
    Pod,
    Pool,
    Tuning,
    Written,
    pod_reader,
    read_namespace,
    read_node,
    read_tuning,
    read_written,
)
from damon_operator.planner.plan import ObjectNote
from damon_operator.planner.priorities import Note, NoteReason
from damon_operator.planner.transitions import WELL, Told, transition
from damon_operator.reconcile.announcer import Announcer
from damon_operator.reconcile.heartbeats import Heartbeats, Listener
from damon_operator.reconcile.port import Now, Port
from damon_operator.reconcile.statuses import Statuses
from damon_operator.reconcile.world import World
from damon_operator.reconcile.writer import Writer
from damon_operator.reflector import Reflector
from damon_operator.resources import Raw
from damon_operator.settings import Tempo

_log = logging.getLogger(__name__)

F = TypeVar("F")

_OPERATOR = ((names.PART_OF_LABEL, names.PART_OF), ("app.kubernetes.io/component", "operator"))
"""Labels of an operator's pods."""
_TURN = 16
"""Plans after which other tasks get their turn."""


@dataclass
class Planning:
    """What was planned so far."""

    plans: int = 0
    failures: int = 0
    """Plans that could not be said."""
    spent_s: float = 0.0


@dataclass
class Service:
    """Keeps a DamonNode per governed node, and the status of every DamonTuning."""

    port: Port
    tempo: Tempo
    instance: str
    """Name of this replica, for Events."""
    clock: Callable[[], float]
    """Monotonic seconds."""
    now: Now
    random: Callable[[], float]
    """A number in [0, 1)."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    accounts: Accounts = field(default_factory=dict)
    """ServiceAccounts of the operator itself and of its agents."""
    policy: AnnotationBounds | None = None
    """What the admission policy of the chart lets owners ask for."""
    namespace: str = "default"
    """Where the agents renew their Leases."""
    world: World = field(init=False)
    streams: tuple[Reflector[Any], ...] = field(init=False)
    writer: Writer = field(init=False)
    planning: Planning = field(default_factory=Planning)
    running: bool = False
    """Whether this replica is the one that works."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _causes: dict[str, str | None] = field(default_factory=dict)
    """By uid, of DamonTunings and DamonNodes: what holds each back, as it was last told."""
    _others: set[str] = field(default_factory=set)
    """Namespaces in which another operator was seen."""

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.random, self.tempo.retry_first_s, self.tempo.retry_most_s)
        self.world = World(self._changed.set, self.clock)
        self._announcer = Announcer(self.port, self._backoff, self.sleep, self.now, self.instance)
        world = self.world
        self._tunings = self._stream(
            resources.DAMON_TUNINGS, read_tuning, "name", self._tuning_changed
        )
        written = self._stream(resources.DAMON_NODES, read_written, "name", self._written_changed)
        pods = self._stream(
            resources.PODS, pod_reader(Pool(), self.accounts), "uid", self._pod_changed
        )
        pods.unreadable = self._announce_unreadable
        self.streams = (
            self._tunings,
            self._stream(resources.NAMESPACES, read_namespace, "name", world.namespace_changed),
            self._stream(resources.NODES, read_node, "name", world.node_changed),
            written,
            pods,
        )
        self.writer = Writer(world, written, self.port, self._backoff, self.sleep)
        self.statuses = Statuses(
            world=world,
            tunings=self._tunings,
            port=self.port,
            announce=self._announce_status,
            policy=self.policy,
            tempo=self.tempo,
            backoff=self._backoff,
            sleep=self.sleep,
            now=self.now,
        )
        self._listener = Listener(
            written,
            self.port,
            self.namespace,
            Heartbeats(self.tempo.silent_looks),
            pause_s=self.tempo.look_s,
            sleep=self.sleep,
            now=self.now,
        )

    async def run(self) -> None:
        """Work until cancelled. A failure of the API server never ends this."""
        for stream in self.streams:
            stream.heard = self.clock()
        self.running = True
        try:
            async with asyncio.TaskGroup() as group:
                for stream in self.streams:
                    group.create_task(stream.run())
                for part in (
                    self._plan,
                    self.statuses.run,
                    self._ripen,
                    self.writer.run,
                    self._announcer.run,
                    self._listener.run,
                ):
                    group.create_task(self._lasting(part))
        finally:
            self.running = False

    async def _lasting(self, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part for ever; what nobody thought of costs it a pause, and not the operator."""
        failures = 0
        while True:
            try:
                await part()
            except Exception:  # noqa: BLE001 - it is logged with its trace
                failures += 1
                _log.exception("a part of the work failed unexpectedly part=%s", part.__qualname__)
                await self.sleep(self._backoff.delay_s(failures))

    def stalled(self) -> tuple[str, ...]:
        """Return the streams that have made no step for too long; none before the start."""
        if not self.running:
            return ()
        return tuple(name for name, s in self.silence_s().items() if s > self.tempo.stalled_s)

    def silence_s(self) -> Mapping[str, float]:
        """Return the seconds since each stream last made a step, successful or not."""
        return {stream.resource.name: self.clock() - stream.heard for stream in self.streams}

    async def _plan(self) -> None:
        """Plan touched nodes, once everything has been listed.

        What changes after a quiet time is planned at once, what follows it in rounds.
        """
        for stream in self.streams:
            await stream.synced.wait()
        _log.info("synced nodes=%d tunings=%d", len(self.world.nodes), len(self.world.tunings))
        self.world.everything()
        next_at = self.clock()
        while True:
            await self._changed.wait()
            # Also when nothing is to be waited for: what has been read already comes along.
            await self.sleep(max(0.0, next_at - self.clock()))
            self._changed.clear()
            dirty, unchecked = self.world.take_dirty(), self.world.take_unchecked()
            if dirty or unchecked:
                next_at = self.clock() + self.tempo.debounce_s
            for number, name in enumerate(dirty, 1):
                self._plan_node(name)
                if number % _TURN == 0:
                    await asyncio.sleep(0)
            for name in unchecked:
                self.world.recount(name)
                self._push(name)
            self.world.advance()
            if self.world.stale:
                self.statuses.wake()

    def _plan_node(self, name: str) -> None:
        started = self.clock()
        self.planning.plans += 1
        try:
            planned = self.world.replan(name)
        except Exception as error:  # noqa: BLE001 - a fact that no schema foresaw, of whatever kind
            self.planning.failures += 1
            # This node keeps its plan, the others go on.
            _log.error("plan failed node=%s error=%r", name, error)
            return
        finally:
            self.planning.spent_s += self.clock() - started
        self._announcer.tell(name, planned.notes)
        self._push(name)

    def _push(self, name: str) -> None:
        if self.world.is_due(name):
            self.writer.push(name)

    async def _ripen(self) -> None:
        """Let time pass for nodes that take a changed tuning."""
        while True:
            await self.sleep(self.tempo.ripen_s)
            self.world.ripen()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        self.world.pod_changed(old, new)
        if new is not None and new.part is Part.NONE and _is_operator(new):
            self._foreign(new)

    def _foreign(self, pod: Pod) -> None:
        """Tell of another installation, once: two fight over every node. A label proves nothing."""
        if self.accounts and pod.namespace not in self._others:
            self._others.add(pod.namespace)
            _log.error(
                "another operator of damon-operator seems to run namespace=%s pod=%s: two "
                "installations fight over every node, uninstall one of them",
                pod.namespace, pod.name,
            )  # fmt: skip

    def _tuning_changed(self, old: Tuning | None, new: Tuning | None) -> None:
        self.world.tuning_changed(old, new)
        if old is not None and (new is None or new.uid != old.uid):
            self._causes.pop(old.uid, None)
            self.statuses.forget(old.name)

    def _written_changed(self, old: Written | None, new: Written | None) -> None:
        self.world.written_changed(old, new)
        if old is not None and (new is None or new.uid != old.uid):
            self._causes.pop(old.uid, None)
        if new is not None:
            about = (new.name, new.uid)
            just_made = old is not None and not old.conditions
            self._announce_step(names.NODE_KIND, about, new.conditions, new=just_made)

    def _announce_step(
        self,
        kind: Literal["DamonTuning", "DamonNode"],
        about: tuple[str, str],
        conditions: Collection[Told],
        *,
        new: bool,
    ) -> None:
        """Announce a transition of an object (name, uid); `new`: it had no conditions before."""
        name, uid = about
        before = self._causes.get(uid, WELL if new else None)
        self._causes[uid], note = transition(before, conditions, kind)
        if note is not None:
            self._announcer.announce(ObjectNote("", name, uid, note))

    def _announce_status(self, tuning: Tuning, status: DamonTuningStatus) -> None:
        self._announce_step(
            names.TUNING_KIND,
            (tuning.name, tuning.uid),
            status.conditions,
            new=tuning.status is None or not tuning.status.conditions,
        )

    def _stream(
        self,
        resource: resources.Resource,
        read: Callable[[Raw, F | None], F],
        key: str,
        changed: Callable[[F | None, F | None], None],
    ) -> Reflector[F]:
        return Reflector(
            resource=resource,
            source=self.port,
            read=read,
            key=key,
            changed=changed,
            backoff=self._backoff,
            clock=self.clock,
            sleep=self.sleep,
            pace=self.tempo.streams,
        )

    def _announce_unreadable(self, metadata: Raw, why: str) -> None:
        """Tell the owner of a pod that it takes no part."""
        note = Note(NoteReason.UNREADABLE, f"this pod takes no part: it could not be read: {why}")
        namespace, name, uid = (str(metadata.get(k) or "") for k in ("namespace", "name", "uid"))
        told = ObjectNote(namespace, name, uid, note)
        self._announcer.tell(f"unreadable/{told.uid}", [told])


def _is_operator(pod: Pod) -> bool:
    return all(label in pod.labels for label in _OPERATOR)
