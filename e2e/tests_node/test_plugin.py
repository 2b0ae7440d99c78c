"""`kubectl damon` on a node with a real kernel: it says of memory what the kernel does.

After the ladder: the pods of a check take memory of the node, and so would wake its lanes.
"""

from harness.api import Api, Body, until_nothing
from harness.plugin import data
from tests_node.ladder import EFFECT_S, Marks
from tests_node.pods import COLD_MIB, HOT_MIB, PROGRAM_MIB
from tests_node.scene import MIB, Scene
from vmnode.node import NAME

SURVEYED_S = 600.0
"""Within that every lane has been measured, one after the other."""
CHECK_MINUTES = 15
PHASES = (
    *("running", "planned", "taken", "measured"),
    *("given up", "hot stayed", "protected untouched"),
)
BY_PRIORITY = {"10": ("eager", "best-effort", "guaranteed"), "30": ("low",), "60": ("middle",)}


def test_report_tells_what_the_kernel_holds(
    marks: Marks, scene: Scene, victims: dict[str, Body]
) -> None:
    def wrong() -> list[str]:
        seen = scene.look()
        told = {each["name"]: each for each in data("report", "-n", "shop")["priorities"]}
        found = []
        for priority, names in BY_PRIORITY.items():
            swapped = sum(seen.of(victims[name]).swap_bytes for name in names)
            said = told.get(priority, {}).get("givenUpBytes")
            if said is None or abs(said - swapped) > 4 * MIB:
                found.append(
                    f"priority {priority}: {said} bytes given up, the kernel has {swapped}"
                )
        # Of the protected pod nothing has gone, so what is cold of it is known beforehand.
        cold = told.get("83", {}).get("coldBytes") or 0
        if not COLD_MIB * MIB * 3 // 4 <= cold <= (COLD_MIB + HOT_MIB + PROGRAM_MIB) * MIB:
            found.append(f"protected: {cold} bytes are cold, of {COLD_MIB} MiB")
        return found

    until_nothing("the report says what the kernel holds", wrong, SURVEYED_S)


def test_a_check_of_the_node_passes_and_leaves_nothing(
    api: Api, marks: Marks, scene: Scene, victims: dict[str, Body]
) -> None:
    told = data(
        "check",
        *("--node", NAME, "--timeout", f"{CHECK_MINUTES}m"),
        within_s=(CHECK_MINUTES + 5) * 60,
    )
    (node,) = told["nodes"]
    ended = {phase["name"]: phase["outcome"] for phase in node["phases"]}
    assert told["passed"], node["phases"]
    assert ended == dict.fromkeys(PHASES, "Happened")
    assert node["low"]["last"]["coldSwapBytes"] > 32 * MIB

    def left() -> list[str]:
        seen = scene.look()
        known = {pid for pod in victims.values() for pid in seen.of(pod).pids}
        running = [kdamond for kdamond in seen.kdamonds if kdamond.state == "on"]
        strangers = {pid for kdamond in running for pid in kdamond.targets} - known
        namespace = api.find("namespaces", told["namespace"])
        found = [f"targets of no victim: {sorted(strangers)}"] if strangers else []
        return [*found, f"namespace {told['namespace']}"] if namespace else found

    until_nothing("nothing of it is left", left, EFFECT_S)
