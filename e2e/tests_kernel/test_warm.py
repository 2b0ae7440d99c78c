"""A pod that uses each of its pages every few seconds: seldom enough to look cold by mistake."""

from tests_kernel.containers import Containers, Victim
from tests_kernel.node import PAGE_BYTES, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import gives_up
from tests_kernel.waiting import until

WARM_MIB = 32
PAGES = (WARM_MIB << 20) // PAGE_BYTES
CLOCK = "cold:16"
BRAKE = {
    "pressurePermille": 1000,
    "refaultsPermille": 100,
    "spareFor": "16m",
    "spareForAtMost": "16m",
}
"""Spares who has lost much of what it uses, and not a clock that misses its interpreter."""


def test_it_is_not_taken_for_cold_by_the_default_settings(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    warm, control = warm_pods(containers, seconds=4)
    clock = containers.victim("clock", 10, "hot:2:0.1", "cold:16")
    lost = Lost(warm, control)
    plans.applied([warm.pod, clock.pod], chosen=settings(monitoring={}, reclaim={}))
    for _ in range(2):
        gives_up(clock)
        clock.touch()
    # One region of a hundred, or two, may look cold by chance.
    assert lost.pages() <= PAGES // 10
    assert warm.resident("warm") >= 0.9


def test_mistaken_for_cold_it_is_spared(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """Cold after 6 s, each page used every 6 s: taken by mistake, and it comes back."""
    warm, control = warm_pods(containers, seconds=6)
    clock = containers.victim("clock", 10, CLOCK)
    plans.applied([warm.pod, clock.pod], chosen=settings(brake=BRAKE))

    def spared() -> bool:
        pods = plans.status().get("pods", ())
        return any(pod["uid"] == warm.pod.uid and "spared" in pod for pod in pods)

    until("it is spared", spared)
    lost = Lost(warm, control)
    taken_bytes = warm.given_up()
    for number in range(2):
        # A new one each time: one whose memory came back would be spared as well.
        clock = containers.victim(f"clock-{number}", 10, CLOCK)
        plans.applied([warm.pod, clock.pod], chosen=settings(brake=BRAKE))
        gives_up(clock)
    until("what was taken is back", lambda: warm.resident("warm") >= 0.98)
    print(f"{taken_bytes} bytes were in swap when it was spared, {warm.given_up()} are now")
    assert warm.given_up() <= taken_bytes, "and nothing more is taken"
    assert lost.pages() <= taken_bytes // PAGE_BYTES + PAGES // 50, "each page came back once"


def warm_pods(containers: Containers, *, seconds: int) -> tuple[Victim, Victim]:
    """Start two alike, one to be planned and one to run without us; how often a page is used."""
    part = f"warm:{WARM_MIB}:{seconds}:random"
    return containers.victim("warm", 10, part), containers.victim("control", 10, part)


class Lost:
    """How many pages more one pod has waited for than the other, from now on."""

    def __init__(self, planned: Victim, control: Victim) -> None:
        self._pods = (planned, control)
        self._before = self._faults()

    def pages(self) -> int:
        planned, control = (
            now - then for now, then in zip(self._faults(), self._before, strict=True)
        )
        print(f"{planned} major faults, {control} without us, of {PAGES} pages")
        return planned - control

    def _faults(self) -> tuple[int, ...]:
        return tuple(pod.major_faults() for pod in self._pods)
