"""memory.reclaim at work: when pods are looked at and asked, and what the status says of it.

What is remembered lives in this process: after a restart a pod is asked as if for the first time.
Nothing stays in the kernel, so without an agent nothing is reclaimed this way.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from damon_agent import intents
from damon_agent.brake import brake
from damon_agent.brake.brake import Brake, Limits
from damon_agent.brake.sparing import limits_of, told
from damon_agent.clock import Clock
from damon_agent.errors import AgentError
from damon_agent.facts import PodMemory
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Intent
from damon_agent.node import pods
from damon_agent.node.reclaim_file import (
    ANONYMOUS_FIRST,
    ANONYMOUS_ONLY,
    FILE_PAGES_ONLY,
    ReclaimFile,
)
from damon_agent.node.resolver import Resolution
from damon_agent.reclaim.freed import Freed
from damon_agent.reclaim.probe import Probe, Takes
from damon_agent.reclaim.round import FOUND_LESS, GONE, Asked, Round
from damon_agent.reclaim.steps import (
    FRESH_US,
    STEP_PERMILLE,
    STEP_US,
    Step,
    file_pages,
    in_turn,
    left_behind,
    shared,
    steps,
    wanted,
)
from damon_agent.status import whole_mib
from damon_contract.v1alpha1.node import (
    MAX_POD_MESSAGE,
    DamonNodeSpec,
    MemoryReclaim,
    PodReclaim,
    Spared,
)

_REST_US: Final = 60_000_000
"""How long a pod is left alone that had less of a kind to give than it was asked for."""
_LONG_US: Final = 60_000_000
"""A round that takes so long is told."""
_NEVER_US: Final = 1 << 62


class Reclaiming:
    """Owns what goes by memory.reclaim on one node; `look` is called at every tick."""

    def __init__(
        self,
        file: ReclaimFile,
        clock: Clock,
        page_bytes: int,
        anonymous_bytes: Callable[[int], int | None],
        start: Callable[[Callable[[], None]], None],
    ) -> None:
        """`anonymous_bytes`: anonymous memory that a pid has resident, None: it has gone.

        `start`: has a function run beside the loop; it may have ended on return. RuntimeError: it
        does not run, for want of a thread.
        """
        self._file = file
        self._clock = clock
        self._page_bytes = page_bytes
        self._anonymous_bytes = anonymous_bytes
        self._start = start
        self._probe = Probe(file)
        self._freed = Freed()
        self._round: Round | None = None
        self._asked_us = 0
        """When the last round began."""
        self._asked_for: DamonNodeSpec | None = None
        """What it was decided by."""
        self._forget()
        self.status: MemoryReclaim | None = None
        """None without a plan."""

    def _forget(self) -> None:
        if self._round is not None:
            self._round.stop()
        self._brake = Brake()
        self._spared: Mapping[str, Spared] = {}
        self._available = Availability()
        self._asked: dict[tuple[str, str], int] = {}
        """By uid and word: when a pod was last asked for such memory, if not long ago."""
        self._last: tuple[str, str] | None = None
        """Uid and word that came last in a round that could not ask everybody."""
        self._left: Mapping[str, int] = {}
        """By uid: what a swap disk had left of a pod in memory at the last look."""
        self._resting: dict[tuple[str, str], int] = {}
        """By uid and word: until when a pod is not asked for such memory."""
        self.next_us = _NEVER_US
        """When the next look is due."""
        self.trouble = ""
        """Why nothing can go this way although the plan asks for it."""

    @property
    def pods(self) -> Mapping[str, PodReclaim]:
        """By uid: planned pods that were asked for memory."""
        return {
            uid: PodReclaim(
                file_bytes=whole_mib(freed.file_bytes),
                working_set_bytes=whole_mib(freed.working_set_bytes),
                spared=self._spared.get(uid),
            )
            for uid, freed in self._freed.pods.items()
        }

    def look(
        self,
        spec: DamonNodeSpec | None,
        resolution: Resolution,
        intent: Intent | None,
        *,
        damon: bool,
        halted: bool,
        spared: Collection[str],
        now_us: int,
    ) -> None:
        """Ask the pods whose time it is, and hear of those that were asked.

        `damon`: lanes serve the anonymous memory of this node. `halted`: nobody is to be asked, for
        the node is over a limit or the agent is about to end. `spared`: pods whose anonymous memory
        the brake spares.
        """
        self._collect(now_us)
        if spec is None or intent is None:
            self._forget()
            self.status = None
            return
        if self._round is not None and (halted or spec is not self._asked_for):
            self._round.stop()
        self._freed.keep({pod.uid for pod in spec.pods})
        limits = limits_of(spec, self._page_bytes)
        if limits is None or (why_not := _why_not(intent, limits)):
            self._forget()
            self._tell("Nothing", _no_limits(spec) if limits is None else why_not)
            return
        self._available = self._available.looked(intent, now_us)
        # Up to an eighth early, to spare the loop a pass of its own.
        if self.next_us != _NEVER_US and now_us < self.next_us - STEP_US // 8:
            return
        self.next_us = now_us + STEP_US
        homes = intents.homes(spec, resolution, intents.unprotected(spec))
        self._probe.look(homes, now_us)
        takes, why = self._probe.takes(intent.memory, damon=damon)
        self.trouble = why if self._probe.asked else ""
        if takes != "Nothing" and self._round is None:
            here = [pod for pod in spec.pods if homes.get(pod.uid)]
            uids = wanted(intent, here, self._available) if not halted else ()
            readings = self._read(uids, homes, limits, now_us)
            self._asked = {
                each: at_us for each, at_us in self._asked.items() if now_us - at_us <= FRESH_US
            }
            # Of anonymous memory lanes take what they can. Without room in swap the kernel would
            # take page cache instead, or nothing at all.
            may_swap = intent.memory.swap_total_bytes and not intent.memory.swap_full
            beside_lanes = [uid for uid in uids if uid not in spared] if damon and may_swap else []
            out_of_reach = self._out_of_reach(spec, resolution, beside_lanes, readings)
            usual = self._usual_word(takes)
            # What came back from swap says nothing against page cache: that has a brake of its own.
            alone = spared if takes == "AllMemory" else ()
            asked = steps(
                [uid for uid in self._rested(uids, usual) if uid not in alone],
                readings,
                self._brake,
                limits,
                fresh=self._fresh(usual),
                all_memory=takes == "AllMemory",
            )
            turn = in_turn({self._anonymous_word: out_of_reach, usual: asked}, uids, self._last)
            self._asked_for = spec
            why = self._ask(turn, homes, now_us)
            self.trouble = why or self.trouble
        elif self._round is not None and now_us - self._asked_us > _LONG_US:
            why = "the kernel has not answered a write to memory.reclaim for a minute"
            self.trouble = why
        self._tell(takes, why)

    def _read(
        self,
        uids: Collection[str],
        homes: Mapping[str, Collection[str]],
        limits: Limits,
        now_us: int,
    ) -> Mapping[str, PodMemory | None]:
        """Look at the pods to ask, and at those that were asked; let the brake judge them."""
        if not uids and now_us - self._asked_us > limits.spare_at_most_us:
            # Whatever may still come back is forgotten by now.
            self._brake, self._spared, self._asked = Brake(), {}, {}
            return {}
        seen = {uid: homes[uid] for uid in {*uids, *self._brake.pods} if homes.get(uid)}
        # What can't be read is told of the pod by the brake of the lanes, which reads the same.
        readings = {uid: file_pages(memory) for uid, memory in pods.read(seen, troubles={}).items()}
        before, self._brake = self._brake, brake.look(self._brake, readings, now_us, limits)
        self._spared = told(before, self._brake, self._spared, self._clock, now_us)
        return readings

    def _out_of_reach(
        self,
        spec: DamonNodeSpec,
        resolution: Resolution,
        uids: Collection[str],
        readings: Mapping[str, PodMemory | None],
    ) -> tuple[Step, ...]:
        """Return for how much anonymous memory pods are asked that their lanes can't take.

        Where page cache may go instead, those that the brake of page cache spares are left out.
        """
        before, self._left = (
            self._left,
            {uid: seen.left_bytes for uid, seen in readings.items() if seen},
        )
        spares_cache = self._probe.knows_anonymous_only
        alone = () if spares_cache else self._brake.spared.keys()
        able = [uid for uid in self._rested(uids, self._anonymous_word) if uid not in alone]
        left = left_behind(
            able, readings, before, spares_cache=spares_cache, page_bytes=self._page_bytes
        )
        mapped = self._mapped_bytes(spec, resolution, able)
        return left + shared(able, readings, mapped, fresh=self._fresh(self._anonymous_word))

    def _mapped_bytes(
        self, spec: DamonNodeSpec, resolution: Resolution, uids: Collection[str]
    ) -> dict[str, int]:
        """Return the resident anonymous memory of pods' processes; of pods with several.

        What is shared counts once for each process.
        """
        mapped = {}
        for pod in spec.pods:
            pids = [
                process.pid
                for container in pod.containers
                for process in resolution.processes.get(container.id, ())
            ]
            if pod.uid in uids and len(pids) > 1:
                mapped[pod.uid] = sum(map(self._read_anonymous_bytes, pids))
        return mapped

    def _read_anonymous_bytes(self, pid: int) -> int:
        try:
            return self._anonymous_bytes(pid) or 0
        except AgentError:
            # The look for processes says so of whom it can't read.
            return 0

    @property
    def _anonymous_word(self) -> str:
        return ANONYMOUS_ONLY if self._probe.knows_anonymous_only else ANONYMOUS_FIRST

    def _usual_word(self, takes: Takes) -> str:
        only_file_pages = takes == "FilePages" and self._probe.knows_file_pages_only
        return FILE_PAGES_ONLY if only_file_pages else ""

    def _rested(self, uids: Collection[str], word: str) -> list[str]:
        """Return the pods that did not have too little of such memory to give just now."""
        return [uid for uid in uids if (uid, word) not in self._resting]

    def _fresh(self, word: str) -> frozenset[str]:
        """Return the uids of the pods that were asked for such memory not long ago."""
        return frozenset(uid for uid, asked_for in self._asked if asked_for == word)

    def _ask(
        self,
        every: Collection[tuple[str, Step]],
        homes: Mapping[str, Collection[str]],
        now_us: int,
    ) -> str:
        """Begin a round with these steps, each with the word that says which memory is to go.

        Return why it could not begin, if so: then nobody is asked until the next look.
        """
        if not every:
            return ""
        # Who was to be asked may be another by the time of the next look.
        late_us = self._clock.now_us() + STEP_US
        begun = Round(
            [
                Asked(step.uid, pods.cgroups(homes[step.uid]), step.size_bytes, word)
                for word, step in every
            ],
            self._file,
            lambda: self._clock.now_us() > late_us,
        )
        try:
            self._start(begun.carry_out)
        except RuntimeError as error:
            return (
                f"no thread can be had for writes to memory.reclaim ({error}): raise the limits "
                "of pids and memory of the agent's container"
            )
        self._asked_us = now_us
        self._round = begun
        self._collect(now_us)
        return ""

    def _collect(self, now_us: int) -> None:
        """Hear what came of the last round, if it has ended."""
        self._resting = {each: until for each, until in self._resting.items() if until > now_us}
        if self._round is None or not self._round.is_done:
            return
        for answer in self._round.answers:
            uid, word = answer.asked.uid, answer.asked.word
            self._freed.add(uid, answer.freed)
            self._asked[uid, word] = self._asked_us
            if answer.error is None or answer.error.errno in GONE:
                continue
            self._resting[uid, word] = now_us + _REST_US
            if answer.error.errno not in FOUND_LESS:
                self._probe.doubt()
        if not self._round.was_cut:
            self._last = None
        elif self._round.answers:
            last = self._round.answers[-1].asked
            self._last = last.uid, last.word
        self._round = None

    def _tell(self, takes: Takes, message: str) -> None:
        total = self._freed.total
        self.status = MemoryReclaim(
            takes=takes,
            message=message[:MAX_POD_MESSAGE] or None,
            file_bytes=whole_mib(total.file_bytes),
            working_set_bytes=whole_mib(total.working_set_bytes),
        )


def _no_limits(spec: DamonNodeSpec) -> str:
    if spec.mode != "Enforce":
        return f"mode {spec.mode}: nothing is reclaimed"
    return "brake.enabled is false, and only the brake knows when to stop"


def _why_not(intent: Intent, limits: Limits) -> str:
    """Return what of the tuning keeps everything from going this way; empty: nothing does."""
    if intent.action != "pageout":
        return f"reclaim.action is {intent.action}: nothing is paged out"
    if limits.refaults_permille >= STEP_PERMILLE:
        return (
            f"brake.refaultsPermille is {limits.refaults_permille}: the brake would not notice "
            f"when the hot part is taken; it has to be below {STEP_PERMILLE}"
        )
    return ""
