"""What each pod has given up, and what of that came back: its cgroup's own figures, once a minute.

The kernel counts both, whoever reclaimed: DAMON for us, or the kernel by itself under pressure.
Neither is remembered here, so a restart of the agent neither resets them nor counts anything twice.
Success as DAMON reports it is no measure: it counts holes and pages that were out already.
"""

from typing import TYPE_CHECKING, Final

from damon_agent import intents
from damon_agent.facts import PodSwap
from damon_agent.node import pods
from damon_agent.node.resolver import Resolution
from damon_contract.v1alpha1.node import DamonNodeSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_US: Final = 60_000_000
"""As often as a status is written for figures alone."""


class GivenUp:
    """Reads the swap of all planned pods, the protected ones included; called at every tick."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._next_us = 0
        self.pods: Mapping[str, PodSwap] = {}
        """By uid; pods of which it is not known (cgroup v1, no cgroup tree) are left out."""

    def look(self, spec: DamonNodeSpec | None, resolution: Resolution, now_us: int) -> None:
        """Bring the figures up to date if it is time to; raise UnreadableError."""
        if spec is None:
            self.pods, self._next_us = {}, now_us
            return
        # Up to an eighth early, to spare the loop a pass of its own.
        if now_us < self._next_us - LOOK_US // 8:
            return
        self._next_us = now_us + LOOK_US
        homes = intents.homes(spec, resolution, {pod.uid for pod in spec.pods})
        self.pods = {
            uid: PodSwap(
                given_up_bytes=seen.swapped_bytes,
                refaulted_bytes=None if seen.refaults is None else seen.refaults * self._page_bytes,
            )
            for uid, seen in pods.read(homes, swapped=True).items()
            if seen is not None
        }
