"""The machine of a set-up, and how a pod becomes a process in a cgroup."""

import subprocess
from dataclasses import asdict

import pytest
from efficacy.results import Results, ResultsError
from efficacy.stage import AgentAs, Setup, Stage, pod_script


@pytest.mark.parametrize(
    ("said", "swap", "accelerator", "cpus"),
    [
        ("", "zram", "icount", 1),
        # QEMU throttles by the clock of the machine below, which icount does not follow.
        ("", "disk", "tcg", 2),
        ("kvm", "zram", "kvm", 2),
        ("kvm", "disk", "kvm", 2),
        ("icount", "disk", "icount", 1),
    ],
)
def test_a_machine_whose_disk_is_throttled_has_the_clock_that_throttles(
    monkeypatch, said, swap, accelerator, cpus
):
    monkeypatch.delenv("VM_ACCELERATOR", raising=False)
    if said:
        monkeypatch.setenv("VM_ACCELERATOR", said)
    setup = Setup.of("6.12", swap)
    assert (setup.kernel, setup.swap) == ("6.12", swap)
    assert (setup.accelerator, setup.cpus) == (accelerator, cpus)


def test_runs_of_another_swap_are_not_mixed(monkeypatch, tmp_path):
    monkeypatch.setenv("VM_ACCELERATOR", "kvm")
    results = Results(tmp_path)
    results.begin({"setup": asdict(Setup.of("6.12", "zram"))})
    with pytest.raises(ResultsError, match="another set-up"):
        results.begin({"setup": asdict(Setup.of("6.12", "disk"))})


def test_a_pod_is_a_process_in_a_cgroup_below_its_pods(tmp_path):
    cgroup = tmp_path / "pod1" / "c"
    process = subprocess.Popen(
        [
            "sh",
            "-ec",
            pod_script(str(cgroup), ["cat", "/proc/self/oom_score_adj"], oom_score_adj=1000),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate()
    assert process.returncode == 0
    assert said == "1000\n"
    assert (tmp_path / "pod1/cgroup.subtree_control").read_text() == "+memory\n"
    assert (cgroup / "cgroup.procs").read_text() == f"{process.pid}\n"


def test_a_pod_whose_cgroup_cannot_be_made_does_not_start_elsewhere(tmp_path):
    script = pod_script(str(tmp_path / "no" / "pod1" / "c"), ["echo", "started"], oom_score_adj=0)
    ran = subprocess.run(["sh", "-ec", script], check=False, capture_output=True, text=True)
    assert ran.returncode != 0
    assert not ran.stdout


class Agents:
    """Stands for the agent of a machine, and for the machine: it writes down what it is told."""

    def __init__(self):
        self.told = []
        self.guest = self

    def stop(self):
        self.told.append("stop")

    def start(self, *arguments, cgroup, damon):
        self.told.append((*arguments, cgroup, damon.startswith("/sys")))

    def run(self, *_):
        pass

    def sleep(self, _):
        pass


def test_the_agent_is_started_anew_after_it_has_worked_or_as_something_else():
    agents = Agents()
    stage = Stage(Setup.of("6.12", "zram"), agents, None, agents, "/dev/zram0")
    plain = ("stop", ("ro", True))
    stage.prepare_agent(AgentAs(), works=False)
    assert not agents.told, "it is as it was started with the machine"
    stage.prepare_agent(AgentAs(), works=True)
    stage.prepare_agent(AgentAs(), works=False)
    assert tuple(agents.told) == plain
    stage.prepare_agent(AgentAs(memory_reclaim=True), works=False)
    stage.prepare_agent(AgentAs(has_damon=False), works=False)
    assert agents.told[2:] == ["stop", ("--memory-reclaim", "rw", True), "stop", ("ro", False)]
