"""What contenders do to a machine, and that they undo it."""

import json
import re
import signal
from types import SimpleNamespace

import pytest
from efficacy.contenders import CONTENDERS
from efficacy.scenarios import SCENARIOS
from tests_kernel.containers import Container, Pod

MIB = 1 << 20
BURSTABLE = "/sys/fs/cgroup/kubepods/burstable"
SYSCTL = "/proc/sys/vm/watermark_scale_factor"


class Guest:
    """A machine of plain files."""

    def __init__(self):
        self.files = {SYSCTL: "10"}
        self.spawned = []
        self.signals = []

    def read(self, path):
        return self.files[path]

    def shell(self, script):
        value, path = re.fullmatch(r"echo (\S+) >(\S+)", script).groups()
        self.files[path] = value

    def spawn(self, *argv, output):
        self.spawned.append(argv)
        self.files[argv[2]] = json.dumps({"cpu_s": 2.5})
        self.files[output] = ""
        return 77

    def kill(self, pid, number):
        self.signals.append((pid, number))

    def wait(self, pid):
        assert pid in dict(self.signals)


class Plans:
    """Remembers the plan."""

    def __init__(self):
        self.plan = None

    def apply(self, pods, *, mode, **rest):
        self.plan = {"mode": mode, "pods": {pod.name: pod.priority for pod in pods}, **rest}

    def status(self):
        return {"conditions": [], "memory": 1}

    def remove(self):
        self.plan = None


@pytest.fixture(name="stage")
def stage_fixture():
    guest = Guest()
    pods = {}
    for plan in SCENARIOS["main"].pods:
        cgroup = f"{BURSTABLE}/pod{plan.name}/c"
        guest.files[f"{cgroup}/memory.current"] = str(205 * MIB)
        container = Container("c", 1, cgroup)
        pod = Pod(plan.name, plan.priority, containers=[container])
        pods[plan.name] = SimpleNamespace(plan=plan, pod=pod, container=container)
    return SimpleNamespace(
        guest=guest,
        pods=pods,
        plans=Plans(),
        node=SimpleNamespace(nr_kdamonds=lambda: 0),
        setup=SimpleNamespace(reserved_mib=100),
    )


def test_memory_min_protects_the_critical_pod_and_what_is_above_it(stage):
    undo = CONTENDERS["memory_min"].begin(stage)
    files = stage.guest.files
    protected = [path for path in files if path.endswith("memory.min")]
    assert {files[path] for path in protected} == {str(235 * MIB)}
    assert f"{BURSTABLE}/podcritical/c/memory.min" in protected
    assert "/sys/fs/cgroup/kubepods/memory.min" in protected
    assert len(protected) == 4
    undo()
    assert {files[path] for path in protected} == {"0"}


def test_sysctls_get_their_value_back(stage):
    undo = CONTENDERS["sysctl"].begin(stage)
    assert stage.guest.files[SYSCTL] == "500"
    undo()
    assert stage.guest.files[SYSCTL] == "10"


def test_the_loop_leaves_protected_pods_alone_and_tells_its_cpu_time(stage):
    undo = CONTENDERS["loop"].begin(stage)
    (argv,) = stage.guest.spawned
    assert argv[3:6] == ("6", "0.05", "0.1")
    assert f"{BURSTABLE}/podcritical/c" not in argv
    assert f"{BURSTABLE}/podidle/c" in argv
    assert undo() == {"cpu_s": 2.5}
    assert stage.guest.signals == [(77, signal.SIGTERM)]


@pytest.mark.parametrize(
    ("name", "mode", "idle"),
    [
        ("observe", "Observe", 10),
        ("enforce", "Enforce", 10),
        ("enforce_equal", "Enforce", 50),
        ("enforce_reclaim", "Enforce", 10),
    ],
)
def test_ours_plans_all_pods_and_takes_the_plan_back(stage, name, mode, idle):
    undo = CONTENDERS[name].begin(stage)
    plan = stage.plans.plan
    assert (plan["mode"], plan["pods"]["idle"]) == (mode, idle)
    assert plan["pods"].keys() == stage.pods.keys()
    assert plan["reserved_bytes"] == 100 * MIB
    assert undo() == {"conditions": [], "lanes": None, "pods": None, "memoryReclaim": None}
    assert stage.plans.plan is None


def test_nothing_does_nothing(stage):
    before = dict(stage.guest.files)
    CONTENDERS["none"].begin(stage)()
    assert stage.guest.files == before
