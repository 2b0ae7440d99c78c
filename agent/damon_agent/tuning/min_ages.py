"""The choice of min ages at work: what of a look goes into it, and what lanes are told.

What is remembered lives in this process: after a restart every priority begins at the lowest age
again, and is raised within a look of the first pod that is hurt.
"""

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from damon_agent import intents
from damon_agent.brake.looking import Look
from damon_agent.tuning import min_age
from damon_agent.tuning.min_age import LOWEST_US, Age, Returned
from damon_contract.quantities import shown_duration
from damon_contract.v1alpha1.node import DamonNodeSpec

_LOGGER: Final = logging.getLogger(__name__)


class MinAges:
    """Owns the ages of one node; `look` is called at every tick."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._ages: Mapping[int, Age] = {}
        self._refaults: Mapping[str, int] = {}
        """By uid: the counter as it read at the last look."""
        self._looked_us: int | None = None

    def look(
        self,
        spec: DamonNodeSpec | None,
        look: Look | None,
        *,
        spared: Collection[str],
        now_us: int,
    ) -> Mapping[int, int]:
        """Return the min ages by priority, in microseconds; empty where the plan fixes them.

        `look`: None if there was none now. `spared`: pods that were spared before it. They are not
        reclaimed, so what comes back to them says nothing of the age that holds now.
        """
        if spec is None or not intents.chooses_min_age(spec):
            self._ages, self._refaults, self._looked_us = {}, {}, None
            return {}
        if look is not None:
            self._judge(spec, look, spared, now_us)
        return {
            pod.priority: age.min_age_us if (age := self._ages.get(pod.priority)) else LOWEST_US
            for pod in spec.pods
            if pod.priority < spec.settings.protect_from
        }

    def _judge(self, spec: DamonNodeSpec, look: Look, spared: Collection[str], now_us: int) -> None:
        pages, of_pages = Counter[int](), Counter[int]()
        refaults: dict[str, int] = {}
        for pod in spec.pods:
            reading = look.readings.get(pod.uid)
            if reading is None or reading.refaults is None:
                continue
            refaults[pod.uid] = reading.refaults
            if pod.uid not in spared:
                # A container that ended takes its count along: then it is lower than before.
                counted = self._refaults.get(pod.uid, reading.refaults)
                pages[pod.priority] += max(0, reading.refaults - counted)
                of_pages[pod.priority] += reading.anonymous_bytes // self._page_bytes
        returned = {priority: Returned(pages[priority], of_pages[priority]) for priority in pages}
        elapsed_us = 0 if self._looked_us is None else now_us - self._looked_us
        before = self._ages
        self._ages = min_age.look(before, returned, now_us=now_us, elapsed_us=elapsed_us)
        self._refaults, self._looked_us = refaults, now_us
        for priority, age in self._ages.items():
            was_us = before[priority].min_age_us if priority in before else LOWEST_US
            if age.min_age_us != was_us:
                text = "min age changed priority=%d from=%s to=%s"
                _LOGGER.info(text, priority, shown_duration(was_us), shown_duration(age.min_age_us))
