"""What has gone by memory.reclaim since the agent started."""

from collections.abc import Collection, Mapping

from damon_agent.facts import PodCharge

_NOTHING = PodCharge(0, 0)


class Freed:
    """Sums of pods, and of those that are gone by now: the sum of all never falls."""

    def __init__(self) -> None:
        self._pods: dict[str, PodCharge] = {}
        self._gone = _NOTHING

    @property
    def pods(self) -> Mapping[str, PodCharge]:
        """By uid: planned pods that were asked for memory."""
        return self._pods

    @property
    def total(self) -> PodCharge:
        """Of all pods that were ever asked."""
        total = self._gone
        for freed in self._pods.values():
            total = _plus(total, freed)
        return total

    def add(self, uid: str, freed: PodCharge) -> None:
        """Count what a pod gave up."""
        self._pods[uid] = _plus(self._pods.get(uid, _NOTHING), freed)

    def keep(self, planned: Collection[str]) -> None:
        """Tell the pods that are planned no more from the others."""
        for uid in self._pods.keys() - set(planned):
            self._gone = _plus(self._gone, self._pods.pop(uid))


def _plus(one: PodCharge, other: PodCharge) -> PodCharge:
    return PodCharge(*(mine + its for mine, its in zip(one, other, strict=True)))
