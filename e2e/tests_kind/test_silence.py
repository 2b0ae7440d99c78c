"""An agent that hangs, as the cluster sees it: told, restarted by its probe, and back."""

from harness.api import Api, Body, eventually, ready
from harness.command import run
from harness.release import NAMESPACE, Release
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of


def test_a_hung_agent_reads_unknown_until_the_kubelet_has_restarted_it(
    tuning: Body,
    workloads: Workloads,
    truth: Truth,
    release: Release,
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    node = workers[0]
    workloads.start(pod("kept", node.name, priority="30"))
    truth.holds()

    def said() -> tuple[str, str]:
        return ready(api.get("damonnodes", node.name))

    eventually("its node reads True", lambda: said()[0] == "True")
    before = release.agents()[node.name]
    (pid,) = pids_of(before, node.processes())
    node.run(f"kill -STOP {pid}")
    silent = ("Unknown", "AgentSilent")
    eventually("its node reads Unknown", lambda: said() == silent, 120)
    eventually("the tuning does, too", lambda: ready(api.get("damontunings", "default")) == silent)
    assert api.get("damontunings", "default")["status"]["nodes"]["silent"] == 1

    def restarted() -> bool:
        now = release.agents()[node.name]["status"]["containerStatuses"][0]
        return bool(now["restartCount"]) and bool(now["ready"])

    # Three probes 30 s apart, and 30 s of grace for a process that hears no SIGTERM.
    eventually("the kubelet restarts it", restarted, 300)
    eventually("its node reads True again", lambda: said()[0] == "True", 120)
    truth.holds()


def test_an_agent_can_signal_and_trace_nobody(release: Release, workers: tuple[Node, Node]) -> None:
    agent = release.agents()[workers[0].name]["metadata"]["name"]
    attempts = (
        "import ctypes, errno, fcntl, os, signal",
        "libc = ctypes.CDLL(None, use_errno=True)",
        "r, _ = os.pipe()",
        "def no(what):",
        "  try: done = what()",
        "  except PermissionError: return",
        "  assert done == -1 and ctypes.get_errno() == errno.EPERM, what",
        "no(lambda: os.kill(1, 0))",
        "no(lambda: signal.pidfd_send_signal(os.pidfd_open(1), 0))",
        "no(lambda: fcntl.fcntl(r, fcntl.F_SETOWN, 1))",
        "no(lambda: libc.ptrace(16, 1, 0, 0))",
        "no(lambda: libc.process_vm_readv(1, 0, 0, 0, 0, 0))",
        "no(lambda: libc.unshare(0x20000))",
        "print('nobody')",
    )
    command = ["kubectl", "--namespace", NAMESPACE, "exec", agent, "--", "python3", "-c"]
    assert run([*command, "\n".join(attempts)]).strip() == "nobody"
