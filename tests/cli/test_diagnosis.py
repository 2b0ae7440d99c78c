"""The judgement of `doctor`, as a table: what is known of a node, and what is said of it."""

from dataclasses import replace

import cluster_objects as made
import pytest

from damon_cli.doctor import reported
from damon_cli.doctor.facts import (
    Holder,
    NodeFacts,
    Owner,
    PodsBySwap,
    Reclaim,
    Said,
    SwapLimits,
    Takes,
    Unusable,
)
from damon_cli.doctor.findings import CHECKS, Finding, State, diagnosis

GIB = 2**30
FINE = NodeFacts(
    probed=True,
    linux=True,
    release="6.12.1",
    damon=True,
    vaddr=True,
    features=("filters",),
    holders=(),
    agent=Said("True", "Applied", "fine"),
    reclaim=Reclaim(Takes.FILE_PAGES),
    memory_bytes=16 * GIB,
    swap_total_bytes=2 * GIB,
    swap_free_bytes=GIB,
    swap_kinds=("zram",),
    zswap=False,
    zram_limited=(),
    cgroup_version=2,
    swap_limits=SwapLimits("containers", 4, 0),
    pods=PodsBySwap(),
    throttled=0,
    page_bytes=4096,
    transparent_huge="madvise",
    huge_bytes=0,
    mglru=True,
)
OK, WARNING, PROBLEM, UNKNOWN = State
STAT = Holder(Owner.STAT, "DAMON_STAT")
OURS = Holder(Owner.OURS, "damon-operator's agent")
DAMO = Holder(Owner.OTHER, "damo")
NO_DAMON = Unusable("NoDamon", "")
BUSY = Unusable("DamonBusy", "damo runs")
SERVED = {"unusable": NO_DAMON, "damon": False}
OFF = Reclaim(Takes.OFF)


def finding(check, **known) -> Finding | None:
    told = diagnosis("n1", replace(FINE, **known)).findings
    return next((each for each in told if each.check == check), None)


@pytest.mark.parametrize(
    ("check", "known", "state", "found", "remedy"),
    [
        ("Kernel", {}, OK, "6.12.1", ""),
        ("Kernel", {"release": "6.1.0-amd64"}, OK, "6.1.0-amd64", ""),
        ("Kernel", {"release": "10.0"}, OK, "10.0", ""),
        ("Kernel", {"release": "5.14.0", "damon": True}, WARNING, "nobody has tried", "6.1"),
        ("Kernel", {"release": "5.14.0", "damon": None}, PROBLEM, "older than 6.1", "6.1"),
        ("Kernel", {"linux": False, "release": "10.0.1"}, PROBLEM, "no Linux", "Linux"),
        ("Kernel", {"release": "garbage"}, UNKNOWN, "garbage", "--print-probe"),
        ("Kernel", {"release": None}, UNKNOWN, "not known", "--print-probe"),
        ("Damon", {}, OK, "monitor the memory", ""),
        ("Damon", {"damon": False}, PROBLEM, "no DAMON sysfs", "CONFIG_DAMON_SYSFS"),
        ("Damon", {"vaddr": False}, PROBLEM, "CONFIG_DAMON_VADDR", "CONFIG_DAMON_VADDR"),
        ("Damon", {"vaddr": None}, UNKNOWN, "its sysfs is there", "--print-probe"),
        ("Damon", {"damon": None}, UNKNOWN, "not known", "--print-probe"),
        ("Features", {}, OK, "filters", ""),
        ("Features", {"features": ()}, OK, "none", ""),
        ("Features", {"features": None}, UNKNOWN, "not known", "the agent finds out"),
        ("Holder", {}, OK, "nobody", ""),
        ("Holder", {"holders": (OURS,)}, OK, "agent", ""),
        ("Holder", {"holders": (DAMO,)}, PROBLEM, "damo", "stop the other user"),
        ("Holder", {"holders": (OURS, STAT)}, PROBLEM, "DAMON_STAT", "damon_stat.enabled=N"),
        ("Holder", {"holders": None}, UNKNOWN, "not known", "--print-probe"),
        ("Agent", {}, OK, "Applied: fine", ""),
        ("Agent", {"agent": Said("True", "NoSwap", "")}, WARNING, "no swap", "add swap"),
        ("Agent", {"agent": Said("False", "Off", "")}, WARNING, "mode Off", ""),
        ("Agent", {"agent": Said("False", "ReadOnly", "x")}, PROBLEM, "ReadOnly: x", "mount it"),
        (
            "Agent",
            {"agent": Said("True", "NoDamon", "")},
            WARNING,
            "no DAMON",
            "CONFIG_DAMON_SYSFS",
        ),
        ("Agent", {"agent": Said("Unknown", "AgentSilent", "")}, UNKNOWN, "Lease", "agent's pod"),
        ("Kernel", {**SERVED, "release": "6.0"}, WARNING, "older than 6.1", "6.1"),
        (
            "Damon",
            SERVED,
            WARNING,
            "the kernel has no DAMON sysfs; memory.reclaim serves page cache",
            "CONFIG_DAMON_SYSFS",
        ),
        (
            "Damon",
            {"unusable": BUSY, "reclaim": Reclaim(Takes.ALL_MEMORY)},
            WARNING,
            "damo runs; memory.reclaim serves page cache and anonymous memory",
            "stop the other user",
        ),
        ("Damon", {**SERVED, "reclaim": Reclaim(Takes.NOTHING)}, PROBLEM, "no DAMON", "CONFIG"),
        ("Holder", {"holders": (DAMO,), "unusable": BUSY}, WARNING, "damo", "stop the other user"),
        ("MemoryReclaim", {}, OK, "page cache of pods can go", ""),
        (
            "MemoryReclaim",
            {"reclaim": Reclaim(Takes.ALL_MEMORY)},
            OK,
            "page cache and anonymous memory of pods can go",
            "",
        ),
        (
            "MemoryReclaim",
            {"reclaim": Reclaim(Takes.FILE_PAGES, "a write hangs")},
            WARNING,
            "page cache of pods can go; a write hangs",
            "read the message",
        ),
        (
            "MemoryReclaim",
            {"reclaim": Reclaim(Takes.NOTHING, "mounted read-only")},
            WARNING,
            "nothing goes: mounted read-only",
            "read the message",
        ),
        ("MemoryReclaim", {"reclaim": Reclaim(Takes.NOTHING, "Observe", due=False)}, OK, "Obs", ""),
        ("MemoryReclaim", {"reclaim": OFF}, OK, "off: page cache", ""),
        ("MemoryReclaim", {**SERVED, "reclaim": OFF}, WARNING, "off", "agent.memoryReclaim"),
        ("MemoryReclaim", {"reclaim": None}, UNKNOWN, "not known", "--print-probe"),
        ("MemoryReclaim", {"reclaim": None, "reclaim_file": True}, OK, "the kernel has it", ""),
        ("MemoryReclaim", {"reclaim": None, "reclaim_file": False}, WARNING, "none", "Linux 5.19"),
        ("Swap", {}, OK, "2 GiB, 1 GiB used", ""),
        ("Swap", {"swap_free_bytes": 0}, WARNING, "it is full", "add swap or zram"),
        ("Swap", {"swap_total_bytes": 0}, WARNING, "no swap", "add swap or zram"),
        ("Swap", {"swap_free_bytes": None}, UNKNOWN, "2 GiB; how much", "--print-probe"),
        ("Swap", {"swap_total_bytes": None}, UNKNOWN, "not known", "--print-probe"),
        ("SwapDevice", {}, OK, "zram", ""),
        ("SwapDevice", {"swap_kinds": ("disk", "file", "disk")}, OK, "disk, file", ""),
        ("SwapDevice", {"swap_kinds": ("disk",), "zswap": True}, OK, "behind zswap", ""),
        ("SwapDevice", {"zram_limited": ("zram0",)}, WARNING, "zram0 has a", "no mem_limit"),
        ("SwapDevice", {"zram_limited": None}, UNKNOWN, "mem_limit is not", "--print-probe"),
        ("SwapDevice", {"swap_kinds": None}, UNKNOWN, "not known", "--print-probe"),
        ("PodSwap", {}, OK, "all of 4 containers", ""),
        (
            "PodSwap",
            {"swap_limits": SwapLimits("containers", 4, 2, 2), "pods": PodsBySwap(guaranteed=1)},
            WARNING,
            "2 of 4 containers may not swap (memory.swap.max is 0); LimitedSwap gives no swap",
            "memory request below their limit",
        ),
        ("PodSwap", {"swap_limits": SwapLimits("containers", 4, 2)}, WARNING, "2 of 4", "kubelet"),
        ("PodSwap", {"swap_limits": SwapLimits("pods", 4, 1)}, WARNING, "1 of 4 pods", "Burstable"),
        ("PodSwap", {"swap_limits": SwapLimits("pods", 4, 4)}, WARNING, "4 of 4 pods", "kubelet"),
        (
            "PodSwap",
            {"swap_limits": None, "pods": PodsBySwap(best_effort=2)},
            UNKNOWN,
            "not known; LimitedSwap gives no swap to Guaranteed pods (0 here), BestEffort pods (2)",
            "--print-probe",
        ),
        ("Cgroup", {}, OK, "v2", ""),
        ("Cgroup", {"cgroup_version": 1}, WARNING, "the brake", "cgroup v2"),
        ("Cgroup", {"cgroup_version": None}, UNKNOWN, "not known", "--print-probe"),
        ("MemoryQoS", {}, OK, "no container", ""),
        ("MemoryQoS", {"throttled": 3}, WARNING, "3 containers", "MemoryQoS"),
        ("MemoryQoS", {"throttled": None}, UNKNOWN, "not known", "--print-probe"),
        ("PageSize", {}, OK, "4 KiB", ""),
        ("PageSize", {"page_bytes": 65536}, OK, "64 KiB: memory is cold", ""),
        ("PageSize", {"page_bytes": 3}, UNKNOWN, "not known", "--print-probe"),
        ("TransparentHugePages", {}, OK, "madvise", ""),
        ("TransparentHugePages", {"transparent_huge": "never"}, OK, "never", ""),
        ("TransparentHugePages", {"transparent_huge": "none"}, OK, "has none", ""),
        ("TransparentHugePages", {"transparent_huge": "always"}, WARNING, "hot", "madvise"),
        ("TransparentHugePages", {"transparent_huge": "?"}, UNKNOWN, "not known", "--print-probe"),
        ("HugePages", {}, OK, "none", ""),
        ("HugePages", {"huge_bytes": GIB}, OK, "1 GiB of 16 GiB: never reclaimed", ""),
        ("HugePages", {"huge_bytes": 9 * GIB}, WARNING, "9 GiB of 16 GiB", "reserve no more"),
        ("HugePages", {"huge_bytes": None}, UNKNOWN, "not known", "--print-probe"),
        ("MultiGenLRU", {}, OK, "on", ""),
        ("MultiGenLRU", {"mglru": False}, OK, "off", ""),
        ("MultiGenLRU", {"mglru": None}, UNKNOWN, "not known", "--print-probe"),
    ],
)
def test_each_thing_is_judged_with_the_remedy(check, known, state, found, remedy):
    said = finding(check, **known)
    assert said is not None
    assert said.state is state
    assert found in said.found
    assert remedy in said.remedy
    assert (not said.remedy) == (not remedy)


@pytest.mark.parametrize(
    ("known", "left_out"),
    [
        ({"damon": False}, {"Features", "Holder"}),
        ({"agent": None}, {"Agent"}),
        ({"swap_total_bytes": 0}, {"SwapDevice", "PodSwap"}),
        ({"cgroup_version": 1}, {"MemoryQoS"}),
        ({"cgroup_version": 1, "reclaim": None}, {"MemoryQoS", "MemoryReclaim"}),
        ({"unusable": BUSY, "holders": None}, {"Holder"}),
    ],
)
def test_what_does_not_apply_is_left_out(known, left_out):
    told = diagnosis("n1", replace(FINE, **known))
    assert CHECKS.keys() - {each.check for each in told.findings} == left_out


@pytest.mark.parametrize(
    ("known", "tunable"),
    [
        ({}, "True"),
        ({"swap_total_bytes": 0, "mglru": None}, "True"),
        ({"holders": None}, "Unknown"),
        ({"vaddr": None, "holders": (STAT,)}, "False"),
        ({"release": "5.4", "damon": False}, "False"),
        ({"damon": False, "vaddr": None, "holders": None}, "False"),
        ({**SERVED, "vaddr": None, "holders": None}, "True"),
        ({"unusable": BUSY, "holders": (DAMO,)}, "True"),
        ({"unusable": BUSY, "holders": (DAMO,), "reclaim": OFF}, "False"),
    ],
)
def test_a_node_is_tunable_only_if_that_is_known(known, tunable):
    assert diagnosis("n1", replace(FINE, **known)).tunable == tunable


def test_of_nothing_everything_is_unknown():
    told = diagnosis("n1", NodeFacts())
    assert {each.state for each in told.findings} == {UNKNOWN}
    assert {each.remedy for each in told.findings if each.check != "Features"} == {
        "`kubectl damon doctor --probe --node NODE` reads it on the node"
    }


def test_what_the_probe_does_not_know_the_api_completes():
    probed = NodeFacts(probed=True, release="6.12.1", damon=True)
    both = probed.completed_by(NodeFacts(release="6.11", features=("filters",), damon=None))
    assert both == replace(probed, features=("filters",))


def node(**info):
    raw = made.node()
    raw["status"]["nodeInfo"] = {"operatingSystem": "linux", "kernelVersion": "6.12.1", **info}
    raw["status"]["capacity"] |= {"hugepages-2Mi": "512Mi", "hugepages-1Gi": "1Gi"}
    return raw


def test_a_node_object_tells_kernel_swap_and_huge_pages():
    said = reported.facts(node(swap={"capacity": 4096}), None, None)
    assert said == NodeFacts(
        linux=True,
        release="6.12.1",
        memory_bytes=16 * GIB,
        swap_total_bytes=4096,
        huge_bytes=GIB + 2**29,
    )


def agent(figures=None, reason="Available", **status):
    raw = made.damon_node("n1", ("web", 60), ("job", 30), available=reason, figures=figures)
    raw["status"] |= status
    return raw


def test_an_agent_tells_features_swap_and_who_may_swap():
    figures = {"web": {"swappable": False}, "job": {"givenUpBytes": 1}}
    kernel = {"release": "6.18.1", "driver": "lanes", "features": ["filters"]}
    said = reported.facts(None, agent(figures, kernel=kernel), None)
    assert said.release == "6.18.1"
    assert said.features == ("filters",)
    assert said.holders == (OURS,)
    assert (said.damon, said.vaddr, said.cgroup_version) == (True, True, 2)
    assert said.swap_limits == SwapLimits("planned pods", 2, 1)
    assert (said.swap_total_bytes, said.swap_free_bytes) == (GIB, None)


@pytest.mark.parametrize(
    ("reason", "damon", "owner"),
    [
        ("NoDamon", False, None),
        ("Unsupported", None, None),
        ("DamonBusy", True, Owner.OTHER),
        ("DamonStatEnabled", True, Owner.STAT),
    ],
)
def test_why_damon_is_not_available_is_a_fact(reason, damon, owner):
    said = reported.facts(None, agent(reason=reason), None)
    assert said.damon is damon
    assert [holder.owner for holder in said.holders or ()] == ([owner] if owner else [])


def test_an_agent_tells_what_goes_by_memory_reclaim():
    said = reported.facts(None, made.without_damon(("web", 60), takes="AllMemory"), None)
    assert said.reclaim == Reclaim(Takes.ALL_MEMORY)
    assert said.unusable == Unusable("NoDamon", "so it is")
    assert said.cgroup_version == 2
    told = {each.check: each for each in diagnosis("n1", said).findings}
    assert told["Agent"].state is told["Damon"].state is WARNING
    assert told["Damon"].found == (
        "so it is; memory.reclaim serves page cache and anonymous memory"
    )
    assert "Holder" not in told


@pytest.mark.parametrize(
    ("mode", "takes", "reclaim"),
    [
        ("Enforce", {"takes": "Nothing", "message": "x"}, Reclaim(Takes.NOTHING, "x")),
        ("Observe", {"takes": "Nothing", "message": "x"}, Reclaim(Takes.NOTHING, "x", due=False)),
        ("Enforce", {"takes": "Novelty"}, None),
        ("Enforce", None, OFF),
    ],
)
def test_what_goes_by_memory_reclaim_is_a_fact(mode, takes, reclaim):
    raw = made.damon_node("n1", mode=mode)
    raw["status"] |= {} if takes is None else {"memoryReclaim": takes}
    assert reported.facts(None, raw, None).reclaim == reclaim


def test_a_kernel_that_has_crashed_in_damon_is_a_problem_in_spite_of_memory_reclaim():
    raw = made.without_damon(("web", 60), reason="NeedsReboot", ready=("False", "NeedsReboot"))
    said = reported.facts(None, raw, None)
    assert said.reclaim == Reclaim(Takes.NOTHING, "so it is")
    told = diagnosis("n1", said)
    assert told.tunable == "False"
    assert "reboot the node" in {each.remedy for each in told.findings}


def test_an_agent_without_a_plan_does_not_say_whether_memory_reclaim_is_off():
    raw = made.damon_node("n1", ready=("False", "PlanExpired"))
    assert reported.facts(None, raw, None).reclaim is None


def test_what_a_silent_agent_said_before_is_not_known():
    raw = made.damon_node("n1", ready=("Unknown", "AgentSilent"))
    assert reported.facts(None, raw, None) == NodeFacts(
        agent=Said("Unknown", "AgentSilent", "so it is")
    )
    never = made.damon_node("n1", reported=False)
    assert reported.facts(None, never, None).agent == Said("Unknown", "NoReport", "")


def test_pods_are_counted_by_what_limited_swap_gives_them():
    def limited(name, request):
        resources = {"limits": {"memory": "1Gi"}, "requests": {"memory": request}}
        return made.pod(name, containers=[{"name": "main", "resources": resources}])

    pods = [
        made.pod("a", qos="Guaranteed"),
        made.pod("b", qos="BestEffort"),
        made.pod("c", qos="BestEffort", phase="Succeeded"),
        limited("d", "1Gi"),
        limited("e", "512Mi"),
        made.pod("f"),
    ]
    assert reported.facts(None, None, pods).pods == PodsBySwap(1, 1, 1, 2)
