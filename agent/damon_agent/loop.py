"""The agent's one loop, level-based: read everything, say what is wanted, let the driver step.

What woke it does not matter: a new plan, an exit, a finished command or the time.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from damon_agent import intents, status
from damon_agent.bell import Bell
from damon_agent.brake.holding import Holding
from damon_agent.brake.looking import Looking
from damon_agent.brake.sparing import Sparing
from damon_agent.clock import Clock, rfc3339
from damon_agent.cold.coldness import Coldness
from damon_agent.cold.given_up import GivenUp
from damon_agent.errors import AgentError
from damon_agent.facts import PodSwap
from damon_agent.growth import Growing
from damon_agent.journal import Journal
from damon_agent.kernel.report import Driver, Fault, Report
from damon_agent.looks import Looks
from damon_agent.node.exits import Exits
from damon_agent.node.meminfo import MemoryMeter
from damon_agent.node.resolver import Resolution, Resolver
from damon_agent.plans.plan import Latest, Plan, Said
from damon_agent.reclaim.reclaiming import Reclaiming
from damon_agent.tuning.min_ages import MinAges
from damon_contract import quantities
from damon_contract.v1alpha1.node import UNAVAILABLE, DamonNodeStatus, NodeReason
from damon_contract.v1alpha1.tuning import Safety

if TYPE_CHECKING:
    from damon_agent.kernel.intent import Intent, Member

_LOGGER: Final = logging.getLogger(__name__)
_IDLE_US: Final = 30_000_000
_LEAST_GAP_US: Final = 20_000
"""Between two ticks, whoever rings."""
_STOP_US: Final = 100_000
"""How long a stop may go unnoticed during a pause."""
_HALT_US: Final = 15_000_000
"""How long lanes are asked to only watch when the agent ends; the pod is killed after 30 s."""
_FIRST_RETRY_US: Final = 1_000_000
_LONGEST_RETRY_US: Final = 30_000_000
_NOTHING: Final = Resolution(processes={}, unswappable=frozenset())


@dataclass(slots=True)
class Ticks:
    """What the loop has done so far; only the loop writes it."""

    ended: int = 0
    failed: int = 0
    spent_us: int = 0
    """Time in all of them together."""
    exits: int = 0
    """Targets that were seen to exit."""
    grown: int = 0
    """Processes whose regions began anew because they had grown, each time."""


class Plans(Protocol):
    """Where plans come from and statuses go to; neither call waits for anything."""

    def latest(self) -> Latest:
        """Return what is known of the plan."""
        ...

    def report(self, uid: str, status: DamonNodeStatus) -> None:
        """Want this status on the DamonNode with this uid."""
        ...


class Loop:
    """Owns the tick; everything it uses is handed in."""

    def __init__(
        self,
        *,
        plans: Plans,
        resolver: Resolver,
        memory: MemoryMeter,
        exits: Exits,
        coldness: Coldness,
        growing: Growing,
        driver: Driver,
        clock: Clock,
        bell: Bell,
        release: str,
        ticks: Ticks | None = None,
        reclaiming: Reclaiming | None = None,
    ) -> None:
        """`reclaiming`: None where memory.reclaim is not to be written."""
        self._plans = plans
        self._resolver = resolver
        self._memory = memory
        self._exits = exits
        self._driver = driver
        self._reclaiming = reclaiming
        self._clock = clock
        self._bell = bell
        self._release = release
        self._looks = Looks()
        self._looking = Looking()
        self._min_ages = MinAges(memory.page_bytes)
        self._sparing = Sparing(clock, memory.page_bytes)
        self._holding = Holding()
        self._coldness = coldness
        self._growing = growing
        self._given_up = GivenUp(memory.page_bytes)
        self._resolution = _NOTHING
        self._members: tuple[Member, ...] = ()
        self._resolved_for: Plan | None = None
        self._report: Report | None = None
        self._intent: Intent | None = None
        self._status = DamonNodeStatus()
        self._journal = Journal()
        self._surprise = ""
        """The unexpected error of the last tick: its trace is logged once."""
        self._said = Said()
        """What our status said last."""
        self._heard: Said | None = None
        """What somebody else wrote, and what ours went on from."""
        self.ticks = ticks or Ticks()
        self._retry_us = _FIRST_RETRY_US
        self._not_before_us = 0
        """After a failed tick: when to try again, whoever rings."""
        self._stopping = False

    def run(self) -> None:
        """Tick until `stop`; then let every lane only watch, and leave the kernel like that."""
        while not self._stopping:
            started_us = self._clock.now_us()
            next_us = self.guarded_tick()
            ended_us = self._clock.now_us()
            self.ticks.ended += 1
            self.ticks.spent_us += ended_us - started_us
            _LOGGER.debug("tick took %d us", ended_us - started_us)
            self._bell.wait(next_us - ended_us)
            self._sleep_until(max(started_us + _LEAST_GAP_US, self._not_before_us))
        self._halt()

    def _halt(self) -> None:
        """Take from every scheme the leave to reclaim: nobody is going to look after it.

        Ages are kept, and the next agent wakes who is to be awake. A page-out under way may keep a
        lane from hearing of it; then what remains is for the kernel's watermarks to stop.
        """
        deadline_us = self._clock.now_us() + _HALT_US
        while (now_us := self._clock.now_us()) < deadline_us:
            failed = self.ticks.failed
            next_us = self.guarded_tick()
            if self.ticks.failed > failed:
                # Nothing is known of the lanes then. It is tried again while there is time.
                next_us = now_us + _FIRST_RETRY_US
            elif self._report is None or not self._report.reclaims:
                return
            self._bell.wait(min(next_us, deadline_us) - now_us)
        _LOGGER.warning("not every lane could be told to stop reclaiming within the time there is")

    def _sleep_until(self, moment_us: int) -> None:
        """Let no ring shorten a pause, but `stop`."""
        while not self._stopping and (left_us := moment_us - self._clock.now_us()) > 0:
            time.sleep(min(left_us, _STOP_US) / 1_000_000)

    @property
    def status(self) -> DamonNodeStatus:
        """What the last tick has seen, whether or not it is worth a write; empty without a plan."""
        return self._status

    @property
    def cold_bytes(self) -> Mapping[str, int]:
        """By uid, of all pods it is known of: a status has not always room for them."""
        return self._coldness.cold_bytes

    @property
    def swap(self) -> Mapping[str, PodSwap]:
        """By uid, what the pods have given up and what came back, as far as it is known."""
        return self._given_up.pods

    @property
    def returned_bytes(self) -> Mapping[int, int]:
        """By priority, what came back since the agent started."""
        return self._given_up.returned_bytes

    def stop(self) -> None:
        """End `run` after the current tick; may be called by a signal handler."""
        self._stopping = True
        self._bell.ring()

    def guarded_tick(self) -> int:
        """Tick; turn what goes wrong into a condition and a later try. Never raises.

        Return when the next tick is due.
        """
        try:
            next_us = self.tick()
        except AgentError as error:
            return self._failed(Fault(NodeReason.NODE_UNREADABLE, str(error)))
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            if what != self._surprise:
                _LOGGER.exception("a tick failed unexpectedly")
            self._surprise = what
            return self._failed(
                Fault(NodeReason.INTERNAL_ERROR, f"{what}; see the agent's log, and report it")
            )
        self._retry_us = _FIRST_RETRY_US
        self._surprise = ""
        return next_us

    def tick(self) -> int:
        """Look, step, tell; return when the next tick is due."""
        now_us = self._clock.now_us()
        latest = self._plans.latest()
        expires_us = latest.contact_us + _max_age_us(latest)
        if not latest.known and now_us < expires_us:
            # Nothing says that what an earlier agent left in the kernel is wrong.
            return min(expires_us, now_us + _IDLE_US)
        expired = now_us >= expires_us
        in_force = None if expired else latest.plan
        self._look(in_force, now_us)
        self._intent = None
        if in_force is None:
            self._holding.forget()
            self._growing.forget()
        spec = in_force.spec if in_force else None
        look = self._looking.look(spec, self._resolution, now_us)
        min_ages_us = self._min_ages.look(
            spec, look, spared=self._sparing.spared.keys(), now_us=now_us
        )
        self._sparing.look(spec, self._resolution, look, now_us)
        if in_force is not None:
            members = intents.spare(self._members, self._sparing.spared.keys())
            memory = self._memory.read(now_us)
            self.ticks.grown += self._growing.look(
                in_force.spec,
                self._members,
                now_us,
                available_bytes=memory.available_bytes,
                min_ages_us=min_ages_us,
            )
            self._holding.look(in_force.spec, self._resolution, memory, self._given_up.pods, now_us)
            halted = self._stopping or bool(self._holding.why)
            self._intent = intents.intent(
                in_force.spec,
                members,
                memory,
                min_ages_us=min_ages_us,
                grown_us=self._growing.grown_us,
                halted=halted,
            )
        self._report = self._driver.step(self._intent, now_us)
        self._coldness.look(spec, self._resolution, self._members, self._report)
        self._given_up.look(spec, self._resolution, now_us)
        if self._reclaiming is not None:
            reasons = {fault.reason for fault in self._report.faults}
            self._reclaiming.look(
                spec,
                self._resolution,
                self._intent,
                damon=not reasons & UNAVAILABLE,
                halted=(
                    self._stopping or bool(self._holding.why) or NodeReason.NEEDS_REBOOT in reasons
                ),
                spared=self._sparing.spared.keys(),
                now_us=now_us,
            )
        self._tell(latest, expired=expired)
        is_enforced = spec is not None and spec.mode == "Enforce"
        # While lanes sleep, whoever has grown is seen by the tick that wakes them. One that is
        # awake begins again by itself when less is free than the kernel's watermark says.
        return min(
            self._report.next_step_us,
            self._growing.next_us if is_enforced and self._report.is_awake else now_us + _IDLE_US,
            self._looks.next_us if in_force else now_us + _IDLE_US,
            self._reclaiming.next_us if self._reclaiming else now_us + _IDLE_US,
            now_us + _IDLE_US if expired else expires_us,
        )

    def _look(self, plan: Plan | None, now_us: int) -> None:
        """Bring the processes up to date if it is time to."""
        if plan is None:
            self._resolution = _NOTHING
            self._members = ()
            self._resolved_for = None
            self._exits.watch(())
            return
        exited = self._exits.exited()
        self.ticks.exits += exited
        if plan is not self._resolved_for:
            self._looks.now(now_us)
        elif exited:
            self._looks.soon(now_us)
        if not self._looks.is_due(now_us):
            return
        wanted = {c.id: pod.uid for pod in plan.spec.pods for c in pod.containers}
        self._resolution = self._resolver.resolve(wanted, now_us, watched=self._exits.watched)
        self._members = intents.members(plan.spec.pods, self._resolution)
        self._resolved_for = plan
        self._looks.done(now_us)
        self._exits.watch([member.process for member in self._members])

    def _tell(self, latest: Latest, *, expired: bool, failure: Fault | None = None) -> None:
        newest = latest.invalid or latest.plan
        if newest is None:
            # There is no object that could carry a status.
            self._status, self._said = DamonNodeStatus(), Said()
            self._journal.look(latest, self._status, failure)
            return
        self._status = status.build(
            status.Observation(
                latest=latest,
                expired=expired,
                intent=self._intent,
                resolution=self._resolution,
                report=self._report,
                spared=self._sparing.spared,
                unseen=self._sparing.unseen,
                cold_bytes=self._coldness.cold_bytes,
                swap=self._given_up.pods,
                troubles=self._looking.troubles,
                over_limits=self._holding.why,
                memory_reclaim=self._reclaiming.status if self._reclaiming else None,
                reclaimed=self._reclaiming.pods if self._reclaiming else {},
                no_memory_reclaim=self._reclaiming.trouble if self._reclaiming else "",
                failure=failure,
            ),
            previous=self._previous(latest),
            now=rfc3339(self._clock.wall_s()),
            release=self._release,
        )
        self._said = Said(newest.uid, self._status.observed_hash, self._status.conditions)
        self._journal.look(latest, self._status, failure)
        if latest.said is not None:
            self._plans.report(newest.uid, self._status)

    def _previous(self, latest: Latest) -> Said:
        """Return what stands there: what somebody else wrote, until ours does.

        What was said before the API server had answered has reached nobody.
        """
        if latest.said is not None and latest.said is not self._heard:
            self._heard = latest.said
            return latest.said
        return self._said

    def _failed(self, failure: Fault) -> int:
        """Report a failed tick with what earlier ones have seen; return when to try again."""
        now_us = self._clock.now_us()
        self.ticks.failed += 1
        try:
            self._tell(self._plans.latest(), expired=False, failure=failure)
        except Exception:
            _LOGGER.exception("the failure can't be reported")
        retry_us, self._retry_us = self._retry_us, min(2 * self._retry_us, _LONGEST_RETRY_US)
        self._not_before_us = now_us + retry_us
        return self._not_before_us


def _max_age_us(latest: Latest) -> int:
    safety = latest.plan.spec.settings.safety if latest.plan else Safety()
    return quantities.microseconds(safety.max_plan_age)
