"""When pods are looked at for the brake and for `tuning: Auto`, and what was read of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from damon_agent import intents
from damon_agent.brake.brake import LOOK_US
from damon_agent.errors import AgentError
from damon_agent.facts import PodMemory
from damon_agent.node import pods
from damon_agent.node.resolver import Resolution
from damon_contract.v1alpha1.node import DamonNodeSpec


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the pods that may be reclaimed, by uid."""

    readings: Mapping[str, PodMemory | None]
    """None: the pod can't be seen."""
    troubles: Mapping[str, AgentError] = field(default_factory=dict)
    """Why a pod can't be seen, where a file of its cgroup is the reason."""


class Looking:
    """Reads the files of all pods once per look, whoever goes by them; called at every tick."""

    def __init__(self) -> None:
        self._next_us = 0
        self.troubles: Mapping[str, AgentError] = {}
        """Of the last look."""

    def look(self, spec: DamonNodeSpec | None, resolution: Resolution, now_us: int) -> Look | None:
        """Return what is read now; None if it is not time to, or nobody goes by it."""
        if spec is None or not _is_wanted(spec):
            self._next_us, self.troubles = now_us, {}
            return None
        # Up to an eighth early, to spare the loop a pass of its own.
        if now_us < self._next_us - LOOK_US // 8:
            return None
        self._next_us = now_us + LOOK_US
        troubles: dict[str, AgentError] = {}
        homes = intents.homes(spec, resolution, intents.unprotected(spec))
        look = Look(pods.read(homes, troubles=troubles), troubles)
        self.troubles = troubles
        return look


def _is_wanted(spec: DamonNodeSpec) -> bool:
    return spec.mode == "Enforce" and (spec.settings.brake.enabled or intents.chooses_min_age(spec))
