"""The steps of a scenario, carried out on a machine of plain files."""

import json
import signal
from types import SimpleNamespace

import pytest
from efficacy.contenders import Product
from efficacy.play import SAMPLES, Play
from efficacy.record import Facts
from efficacy.rivals import Nothing
from efficacy.scenario import PodPlan, Scenario, Step
from efficacy.workloads import heap, sandbox
from tests_kernel.containers import Container, Pod

PODS = (
    PodPlan("calm", 10, heap(1, hot_mib=0, period_ms=20)),
    PodPlan("first", 30, sandbox(1, compute_ms=1)),
    PodPlan("second", 30, sandbox(1, compute_ms=1)),
)
COLD = Step("cold", 5)


class Machine:
    """Its clock goes on by what it is asked to sleep; what happens to it is written down."""

    def __init__(self):
        self.now_s = 100.0
        self.events = []
        self.files = {SAMPLES: b"not yet"}
        self.dead = set()

    def sleep(self, seconds):
        self.now_s += seconds

    def told(self, what):
        self.events.append((self.now_s, what))

    def spawn(self, *argv, output):
        self.files[output] = str(argv).encode()
        return 7

    def kill(self, pid, number):
        self.told((pid, signal.Signals(number).name))

    def wait(self, pid):
        assert pid == 7
        sample = {"at_s": 1, "memory": {}, "node": {}, "threads_cpu_s": {}, "pods": {}}
        self.files[SAMPLES] = json.dumps(sample).encode()

    def exists(self, path):
        return path in self.files

    def get(self, path):
        return self.files[path]

    def run(self, *argv):
        assert argv == ("rm", "-f", SAMPLES)


class Stage:
    """Pods are started as they are planned."""

    def __init__(self):
        self.guest = machine = Machine()
        self.node = SimpleNamespace(
            uptime_s=lambda: machine.now_s, is_alive=lambda pid: pid not in machine.dead
        )
        self.agent = SimpleNamespace(kill=lambda: machine.told("agent killed"))
        self.setup = SimpleNamespace(reserved_mib=1)
        self.plans = SimpleNamespace(apply=self.apply)
        self.pods = {}

    def apply(self, pods, **_):
        self.guest.told({pod.name: pod.priority for pod in pods})

    def start(self, plans):
        for pid, plan in enumerate(plans, 10):
            container = Container("c", pid, f"/{plan.name}")
            pod = Pod(plan.name, plan.priority)
            self.pods[plan.name] = SimpleNamespace(
                plan=plan, pod=pod, container=container, directory=f"/pods/{plan.name}"
            )

    def end(self):
        self.guest.told("end")

    def cgroups(self):
        return {}

    def start_agent(self):
        self.guest.told("agent started")

    def reverse_priorities(self):
        for running in self.pods.values():
            running.pod.priority = 100 - running.pod.priority


@pytest.fixture(name="stage")
def stage_fixture():
    return Stage()


@pytest.fixture(name="play")
def play_fixture(stage):
    def play(*steps, contender=Nothing()):  # noqa: B008 - it has no state
        facts = Facts(
            scenario="s",
            contender="c",
            repetition=1,
            boot="b",
            release="r",
            accelerator="tcg",
            total_bytes=1,
            host_load=0,
            seconds={},
        )
        scenario = Scenario("s", "?", PODS, (COLD, *steps))
        return Play(stage, scenario).run(contender, facts)

    return play


def woken(stage):
    return [(at, what[0]) for at, what in stage.guest.events if what[1:] == ("SIGUSR1",)]


def test_pods_wake_one_after_the_other_and_the_step_is_as_long_as_it_is_to_be(stage, play):
    raw = play(Step("start", 30, ("first", "second"), stagger_s=12))
    pods = [(at, pid) for at, pid in woken(stage) if pid != 7]
    assert pods == [(113, 11), (125, 12)]
    assert [(step.begin_s, step.end_s) for step in raw.steps] == [(108, 113), (113, 143)]


def test_a_pod_that_was_killed_is_not_woken(stage, play):
    stage.guest.dead.add(11)
    play(Step("start", 30, ("first", "second")))
    assert [pid for _, pid in woken(stage) if pid != 7] == [12]


def test_who_was_served_is_told_of_all_that_asked(stage, play):
    stage.guest.files["/pods/second/satisfied"] = b'{"begin_s":1,"end_s":3}'
    raw = play(Step("start", 30, ("first", "second")))
    assert list(raw.served) == ["second"]
    assert [name for name, pod in raw.pods.items() if pod.asks] == ["first", "second"]


def test_the_agent_is_killed_right_after_memory_is_asked_for_and_comes_back(stage, play):
    play(Step("take", 10, ("first",), action="kill_agent"), Step("on", 5, action="start_agent"))
    told = [what for _, what in stage.guest.events if what in {"agent killed", "agent started"}]
    assert told == ["agent killed", "agent started"]
    events = [what for _, what in stage.guest.events]
    assert events.index((11, "SIGUSR1")) < events.index("agent killed")


class Planning(Product):
    """Has nothing to undo here."""

    def begin(self, stage):
        self.plan(stage)
        return dict


def test_reversed_priorities_are_a_new_plan_of_ours(stage, play):
    play(Step("reversed", 5, action="reverse_priorities"), contender=Planning())
    plans = [what for _, what in stage.guest.events if isinstance(what, dict)]
    assert plans == [
        {"calm": 10, "first": 30, "second": 30},
        {"calm": 90, "first": 70, "second": 70},
    ]


def test_others_know_nothing_of_priorities(stage, play):
    play(Step("reversed", 5, action="reverse_priorities"))
    assert not [what for _, what in stage.guest.events if isinstance(what, dict)]
