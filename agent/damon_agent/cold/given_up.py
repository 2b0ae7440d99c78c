"""What each pod has given up, and what of that came back: its cgroup's own figures, once a minute.

The kernel counts both, whoever reclaimed: DAMON for us, or the kernel by itself under pressure.
Neither is remembered here, so a restart of the agent neither resets them nor counts anything twice.
Success as DAMON reports it is no measure: it counts holes and pages that were out already.
"""

from collections.abc import Mapping
from typing import Final

from damon_agent import intents
from damon_agent.facts import PodSwap
from damon_agent.node import pods
from damon_agent.node.resolver import Resolution
from damon_contract.v1alpha1.node import DamonNodeSpec

LOOK_US: Final = 60_000_000
"""As often as a status is written for figures alone."""


class GivenUp:
    """Reads the swap of all planned pods, the protected ones included; called at every tick."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._next_us = 0
        self.pods: Mapping[str, PodSwap] = {}
        """By uid; pods of which it is not known (cgroup v1, no cgroup tree) are left out."""
        self.returned_bytes: Mapping[int, int] = {}
        """By priority: what was seen to come back since the agent started, also of pods that are
        gone by now. Never less than before."""

    def look(self, spec: DamonNodeSpec | None, resolution: Resolution, now_us: int) -> None:
        """Bring the figures up to date if it is time to."""
        if spec is None:
            self.pods, self._next_us = {}, now_us
            return
        # Up to an eighth early, to spare the loop a pass of its own.
        if now_us < self._next_us - LOOK_US // 8:
            return
        self._next_us = now_us + LOOK_US
        homes = intents.homes(spec, resolution, {pod.uid for pod in spec.pods})
        before, self.pods = (
            self.pods,
            {
                uid: PodSwap(
                    given_up_bytes=seen.swapped_bytes,
                    refaulted_bytes=None
                    if seen.refaults is None
                    else seen.refaults * self._page_bytes,
                )
                for uid, seen in pods.read(homes, swapped=True).items()
                if seen is not None
            },
        )
        self.returned_bytes = _added(self.returned_bytes, spec, before, self.pods)


def _added(
    returned: Mapping[int, int],
    spec: DamonNodeSpec,
    before: Mapping[str, PodSwap],
    now: Mapping[str, PodSwap],
) -> Mapping[int, int]:
    """Return the sums by priority with what has come back between two looks.

    What a pod brings along when it is first seen is no news. A counter that is lower than before
    has lost the share of a container.
    """
    unknown = PodSwap(None, None)
    sums = dict(returned)
    for pod in spec.pods:
        was = before.get(pod.uid, unknown).refaulted_bytes
        reads = now.get(pod.uid, unknown).refaulted_bytes
        if was is not None and reads is not None and reads > was:
            sums[pod.priority] = sums.get(pod.priority, 0) + reads - was
    return sums
