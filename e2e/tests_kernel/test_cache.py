"""Page cache takes all free memory of a healthy node; that is no pressure."""

from tests_kernel.containers import Containers
from tests_kernel.node import PROGRAMS, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import CEILING, FLOOR, MARGIN, gives_up, mark

FILE = "/var/tmp/zeros"
MIB_PER_S = 20
"""The agent looks once a second: slow enough that it follows on a busy machine as well."""


def test_no_lane_wakes_when_the_cache_fills(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    eager = containers.victim("eager", 10, "hot:4:0.1", "cold:16")
    ladder = containers.victim("ladder", 30, "hot:4:0.1", "cold:32")
    plans.applied([eager.pod, ladder.pod])
    gives_up(eager)

    facts = node.meminfo()
    wanted = facts["MemFree"] - facts["MemTotal"] * int(mark(30) - 3 * MARGIN) // 1000
    try:
        node.guest.run(
            "python3", f"{PROGRAMS}/cache.py", FILE, str(wanted >> 20), str(MIB_PER_S),
            timeout_s=600,
        )  # fmt: skip
        facts = node.meminfo()
        assert facts["MemFree"] * 1000 // facts["MemTotal"] < mark(30), "the cache has filled up"
        assert node.available_permille() > mark(30) + MARGIN, "and nothing is short"
        for _ in range(2):
            eager.touch()
            gives_up(eager)
        assert ladder.given_up() == 0

        # The kernel's own metric takes the same for pressure.
        free = {"metric": "FreeMemory", "interval": "1s"}
        marks = {"floorPermille": FLOOR, "ceilingPermille": CEILING}
        plans.applied([eager.pod, ladder.pod], chosen=settings(watermarks=free | marks))
        gives_up(ladder)
    finally:
        node.guest.run("rm", "-f", FILE)
