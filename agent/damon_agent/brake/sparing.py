"""The brake at work: who is spared after a look at the pods, and what the status says of them.

What is remembered lives in this process: after a restart nobody is spared, and whoever still hurts
is within a few looks.
"""

from typing import TYPE_CHECKING

from damon_agent.brake import brake
from damon_agent.brake.brake import Brake, Limits
from damon_agent.clock import Clock, rfc3339
from damon_agent.node.resolver import Resolution
from damon_contract.quantities import microseconds
from damon_contract.v1alpha1.node import DamonNodeSpec, Spared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from damon_agent.brake.looking import Look


class Sparing:
    """Owns the brake of one node; `look` is called at every tick."""

    def __init__(self, clock: Clock, page_bytes: int) -> None:
        self._clock = clock
        self._page_bytes = page_bytes
        self._brake = Brake()
        self.spared: Mapping[str, Spared] = {}
        """By uid: pods that are not to be reclaimed now."""
        self.unseen: int | None = None
        """Pods that can't be seen, of those that have processes; None: there is no brake now."""

    def look(
        self,
        spec: DamonNodeSpec | None,
        resolution: Resolution,
        look: "Look | None",
        now_us: int,
    ) -> None:
        """Bring the spared pods up to date with a look at the pods; None: there was none now."""
        limits = None if spec is None else limits_of(spec, self._page_bytes)
        if spec is None or limits is None:
            self._brake = Brake()
            self.spared, self.unseen = {}, None
            return
        if look is None:
            return
        before, self._brake = self._brake, brake.look(self._brake, look.readings, now_us, limits)
        self.spared = told(before, self._brake, self.spared, self._clock, now_us)
        running = {
            pod.uid
            for pod in spec.pods
            if any(container.id in resolution.processes for container in pod.containers)
        }
        self.unseen = sum(uid in running and seen is None for uid, seen in look.readings.items())


def told(
    before: Brake, brake: Brake, said: "Mapping[str, Spared]", clock: Clock, now_us: int
) -> "Mapping[str, Spared]":
    """Return the spared pods as a status tells them; `said` is what it told of `before`."""

    def at(until_us: int) -> str:
        return rfc3339(clock.wall_s() + (until_us - now_us) / 1_000_000)

    return {
        uid: said[uid]
        if before.spared.get(uid) == spared
        else Spared(until=at(spared.until_us), cause=spared.cause)
        for uid, spared in brake.spared.items()
    }


def limits_of(spec: DamonNodeSpec, page_bytes: int) -> Limits | None:
    """Return what the brake goes by; None where no pod is to be spared."""
    brake = spec.settings.brake
    if spec.mode != "Enforce" or not brake.enabled:
        return None
    return Limits(
        pressure_permille=brake.pressure_permille,
        refaults_permille=brake.refaults_permille,
        spare_us=microseconds(brake.spare_for),
        spare_at_most_us=microseconds(brake.spare_for_at_most),
        page_bytes=page_bytes,
    )
