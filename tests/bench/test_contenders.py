"""What contenders do to a machine, and that they undo it."""

import json
import re
import signal
from types import SimpleNamespace

import pytest
from efficacy.contenders import CONTENDERS, DIALS
from efficacy.rivals import AbsentError
from efficacy.scenarios import SCENARIOS
from tests_kernel.containers import Container, Pod

MIB = 1 << 20
OTHERS = ("idle", "batch", "stream")
BURSTABLE = "/sys/fs/cgroup/kubepods/burstable"
SYSCTL = "/proc/sys/vm/watermark_scale_factor"
MODULE = "/sys/module/damon_reclaim/parameters"


class Guest:
    """A machine of plain files."""

    def __init__(self):
        self.files = {
            SYSCTL: "10",
            "/proc/sys/vm/swappiness": "60",
            "/proc/sys/vm/min_free_kbytes": "45056",
            f"{MODULE}/enabled": "N",
            f"{MODULE}/kdamond_pid": "-1",
        }
        self.release = "6.12.117"
        self.spawned = []
        self.signals = []

    def read(self, path):
        return self.files.get(path, "0")

    def exists(self, path):
        return path in self.files

    def run(self, *argv):
        assert argv[:2] == ("rm", "-f")
        self.files.pop(argv[2], None)

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


@pytest.mark.parametrize(
    ("name", "file"), [("memory_min", "memory.min"), ("memory_low", "memory.low")]
)
def test_protection_is_of_the_critical_pod_and_of_what_is_above_it(stage, name, file):
    undo = CONTENDERS[name].begin(stage)
    files = stage.guest.files
    protected = [path for path in files if path.endswith(file)]
    assert {files[path] for path in protected} == {str(235 * MIB)}
    assert f"{BURSTABLE}/podcritical/c/{file}" in protected
    assert f"/sys/fs/cgroup/kubepods/{file}" in protected
    assert len(protected) == 4
    undo()
    assert {files[path] for path in protected} == {"0"}


def test_throttling_is_of_all_that_are_not_protected_and_do_not_wait_for_memory(stage):
    undo = CONTENDERS["memory_high"].begin(stage)
    files = stage.guest.files
    high = {path: value for path, value in files.items() if path.endswith("memory.high")}
    assert high.keys() == {f"{BURSTABLE}/pod{name}/c/memory.high" for name in OTHERS}
    # 102.5 requested of a limit of 225.5 MiB
    assert all(int(value) / MIB == pytest.approx(213.2) for value in high.values())
    assert files[f"{BURSTABLE}/podcritical/c/memory.min"] == str(235 * MIB)
    undo()
    assert {files[path] for path in high} == {"max"}
    assert files["/sys/fs/cgroup/kubepods/memory.min"] == "0"


@pytest.mark.parametrize(
    ("contender", "path", "value"),
    [
        ("sysctl", SYSCTL, "500"),
        ("sysctl_2000", SYSCTL, "2000"),
        ("swappiness_100", "/proc/sys/vm/swappiness", "100"),
        ("min_free", "/proc/sys/vm/min_free_kbytes", "39000"),
    ],
)
def test_sysctls_get_their_value_back(stage, contender, path, value):
    before = dict(stage.guest.files)
    undo = CONTENDERS[contender].begin(stage)
    assert stage.guest.files == before | {path: value}
    undo()
    assert stage.guest.files == before


@pytest.mark.parametrize(("name", "share"), [("loop", "0.05"), ("senpai", "0.01")])
def test_the_loop_leaves_protected_pods_alone_and_tells_its_cpu_time(stage, name, share):
    undo = CONTENDERS[name].begin(stage)
    (argv,) = stage.guest.spawned
    assert argv[3:6] == ("6", share, "0.1")
    assert f"{BURSTABLE}/podcritical/c" not in argv
    assert f"{BURSTABLE}/podidle/c" in argv
    assert undo() == {"cpu_s": 2.5}
    assert stage.guest.signals == [(77, signal.SIGTERM)]


def test_damon_reclaim_is_the_kernels_module_as_it_is(stage):
    undo = CONTENDERS["damon_reclaim"].begin(stage)
    assert stage.guest.files[f"{MODULE}/enabled"] == "Y"
    assert undo().keys() >= {"bytes_reclaimed_regions"}
    assert stage.guest.files[f"{MODULE}/enabled"] == "N"


def test_a_kernel_without_the_module_is_named(stage):
    del stage.guest.files[f"{MODULE}/enabled"]
    with pytest.raises(AbsentError, match=r"6\.12\.117 has no .*damon_reclaim"):
        CONTENDERS["damon_reclaim"].begin(stage)


def test_the_rfcs_policy_has_a_process_of_each_pod_with_its_priority(stage):
    undo = CONTENDERS["rfc_policy"].begin(stage)
    (argv,) = stage.guest.spawned
    assert {"90:1", "10:1", "50:1", "60:1"} == set(argv[4:])
    assert undo() == {"cpu_s": 2.5}


def test_each_mechanism_of_ours_can_be_off():
    off = {name: CONTENDERS[f"enforce_no_{name}"].settings for name in ("brake", "eager", "ladder")}
    assert not off["brake"].brake.enabled
    assert off["eager"].eager_up_to == 0
    marks = off["ladder"].watermarks
    assert marks.floor_permille == marks.ceiling_permille
    usual = CONTENDERS["enforce"].settings
    assert off["brake"].model_copy(update={"brake": usual.brake}) == usual
    assert off["eager"].model_copy(update={"eager_up_to": usual.eager_up_to}) == usual
    assert off["ladder"].model_copy(update={"watermarks": usual.watermarks}) == usual


def test_ours_beside_memory_min_is_both_and_takes_both_back(stage):
    undo = CONTENDERS["enforce_memory_min"].begin(stage)
    assert stage.plans.plan["mode"] == "Enforce"
    protected = stage.guest.files["/sys/fs/cgroup/kubepods/memory.min"]
    assert int(protected) > 0
    told = undo()
    assert stage.plans.plan is None
    assert stage.guest.files["/sys/fs/cgroup/kubepods/memory.min"] == "0"
    assert told["protected_bytes"] == int(protected)
    assert "conditions" in told


def test_a_dial_is_one_setting_that_is_not_its_default():
    usual = CONTENDERS["enforce"].settings
    for name in DIALS:
        changed = CONTENDERS[name].settings.model_dump(exclude_defaults=True)
        assert changed.pop("tuning") == "Fixed"
        assert len(changed) == 1, name
    assert len({CONTENDERS[name].settings.model_dump_json() for name in DIALS}) == len(DIALS)
    assert usual not in [CONTENDERS[name].settings for name in DIALS]


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
