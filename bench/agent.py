"""Memory and CPU of one idle agent: a node with 250 planned pods of 3 containers each.

The agent is a process of its own, as on a node. The API, DAMON (mounted by FUSE where possible) and
the node's /proc and cgroup files are mocks; the 750 targets are real, sleeping processes.
A benchmark, no test: it always ends with status 0 and says whether the goals are met.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from damon_contract import names
from damon_mock.damon import fuse
from damon_mock.damon.control import Control
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread
from damon_mock.kube.tls import Authority

ROOT = Path(__file__).parents[1]
NODE = "bench-1"
PODS = 250
CONTAINERS = 3
STRANGERS = 1500
"""Processes on the node that belong to no planned pod."""
GOAL_RSS_MB = 50.0
GOAL_CPU_PERCENT = 1.0
GOAL_TICK_MS = 50.0
MEMORY_STAT = "".join(
    f"{name} {4096 * (number + 1)}\n"
    for number, name in enumerate(
        [
            "anon",
            "file",
            *(f"something_else_{n}" for n in range(40)),
            "workingset_refault_anon",
            "workingset_refault_file",
            *(f"yet_another_thing_{n}" for n in range(12)),
        ]
    )
)
"""As long as a kernel's, and of a pod of whom something has come back once."""
MEMORY_PRESSURE = "".join(
    f"{who} avg10=0.00 avg60=0.00 avg300=0.00 total=123456\n" for who in ("some", "full")
)
SCRAPE_S = 15.0
"""Between two looks at the metrics."""
SOCKET_AGENT = """
import sys
from pathlib import Path
from damon_agent.__main__ import Roots, main
from damon_mock.damon.remote import SocketFiles
files = SocketFiles(Path(sys.argv[1]))
sys.exit(main(sys.argv[2:], files=Roots(files.under("damon"), files.under("module"))))
"""


@dataclass(frozen=True)
class Result:
    """What was measured, all of it about the agent's process alone."""

    transport: str
    credentials: str
    scrapes: int
    settle_s: float
    rss_mb: float
    rss_peak_mb: float
    private_mb: float
    cpu_percent: float
    cpu_commands_percent: float
    """Of that, what threads took that have ended: one per command; they read regions, by FUSE."""
    ticks: int
    tick_median_ms: float
    tick_max_ms: float
    status_writes: int
    sysfs_writes: int
    descriptors: int
    threads: int


def container(pod: int, index: int) -> str:
    """Return a container id."""
    return f"{pod * CONTAINERS + index + 1:064x}"


def damon_node() -> dict[str, object]:
    """Return the plan: priorities of all roles."""
    pods = [
        {
            "namespace": f"team-{pod % 20}",
            "name": f"workload-{pod}-5f7d8c9b6d-x{pod:04d}",
            "uid": f"6ba7b810-9dad-11d1-80b4-{pod:012d}",
            "priority": (10, 30, 40, 50, 60, 70, 90)[pod % 7],
            "source": "priorityClass/standard",
            "containers": [
                {"name": f"container-{index}", "id": container(pod, index)}
                for index in range(CONTAINERS)
            ],
        }
        for pod in range(PODS)
    ]
    spec = {"tuning": "bench", "mode": "Enforce", "settings": {}, "hash": "bench", "pods": pods}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {"name": NODE},
        "spec": spec,
    }


@contextlib.contextmanager
def sleepers(count: int) -> Iterator[list[int]]:
    """Fork processes that do nothing until the block ends."""
    pids: list[int] = []
    try:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def build_node(root: Path, pids: list[int]) -> None:
    """Lay out the node's /proc and cgroup tree."""
    proc, cgroup = root / "proc", root / "cgroup"
    (proc / "sys/kernel/random").mkdir(parents=True)
    (proc / "sys/kernel/random/boot_id").write_text("6d5c4b3a-bench\n")
    swap = "SwapTotal:      16777216 kB\n"
    meminfo = Path("/proc/meminfo").read_text().replace("SwapTotal", "SwapTotalOfHost")
    (proc / "meminfo").write_text(meminfo + swap)
    (proc / "zoneinfo").write_text(Path("/proc/zoneinfo").read_text())
    idle = " ".join("0" for _ in range(18))
    put(proc, 2, "0::/", f"2 (kthreadd) S {idle} 1 0\n", "kthreadd")
    for stranger in range(STRANGERS):
        pid = 3_000_000 + stranger
        put(proc, pid, "0::/system.slice/some.service", f"{pid} (other) S {idle} 7 0\n", "other")
    cgroup.mkdir()
    (cgroup / "cgroup.procs").touch()
    for number, pid in enumerate(pids):
        pod, index = divmod(number, CONTAINERS)
        below = (
            f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod:032x}.slice/"
            f"cri-containerd-{container(pod, index)}.scope"
        )
        (cgroup / below).mkdir(parents=True)
        (cgroup / below / "cgroup.procs").write_text(f"{pid}\n")
        (cgroup / below / "memory.swap.max").write_text("max\n")
        (cgroup / below).with_name("memory.stat").write_text(MEMORY_STAT)
        (cgroup / below).with_name("memory.pressure").write_text(MEMORY_PRESSURE)
        put(proc, pid, f"0::/{below}", None, "sleeper")


def put(proc: Path, pid: int, cgroup: str, stat: str | None, comm: str) -> None:
    """Write a process's entry; without a text, stat is that of the real process."""
    entry = proc / str(pid)
    entry.mkdir()
    (entry / "cgroup").write_text(f"{cgroup}\n")
    (entry / "comm").write_text(f"{comm}\n")
    if stat is None:
        (entry / "stat").symlink_to(f"/proc/{pid}/stat")
        (entry / "statm").symlink_to(f"/proc/{pid}/statm")
    else:
        (entry / "stat").write_text(stat)


@contextlib.contextmanager
def process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends."""
    with log.open("wb") as output:
        running = subprocess.Popen(arguments, stdout=output, stderr=output, cwd=ROOT)
        try:
            yield running
        finally:
            running.terminate()
            running.wait(30)


def measure(root: Path, seconds: float, metrics_port: int) -> Result:
    """Start everything, wait until the plan is in the kernel, then watch the agent idle."""
    mounted = fuse.missing() is None
    (root / "mount").mkdir()
    serve = ["--mount", str(root / "mount")] if mounted else ["--socket", str(root / "files")]
    mock = [sys.executable, "-m", "damon_mock", "sysfs", "--profile", "7.2", *serve]
    mock += ["--control", str(root / "control"), "--proc-root", str(root / "proc")]
    arguments = ["--node-name", NODE, "--log-level", "debug", "--proc-root", str(root / "proc")]
    arguments += ["--cgroup-root", str(root / "cgroup"), "--state-dir", str(root / "state")]
    arguments += ["--metrics-port", str(metrics_port), "--metrics-address", "127.0.0.1"]
    agent = [sys.executable, "-m", "damon_agent"]
    if mounted:
        arguments += ["--damon-root", str(root / "mount/damon")]
        arguments += ["--module-root", str(root / "mount/module")]
    else:
        agent = [sys.executable, "-c", SOCKET_AGENT, str(root / "files")]
    server = ApiServer(authority=Authority.make(root) if shutil.which("openssl") else None)
    with sleepers(PODS * CONTAINERS) as pids, ApiThread(server) as api:
        build_node(root, pids)
        api.call(api.server.cluster.install, ROOT / "crds")
        api.call(api.server.cluster.create, damon_node())
        arguments += credentials(api, root)
        with process(mock, root / "mock.log"):
            wait_for(lambda: "serving" in (root / "mock.log").read_text(), root, 30)
            started = time.monotonic()
            with process([*agent, *arguments], root / "agent.log") as running:
                wait_for(lambda: is_applied(api), root, 180)
                settle_s = time.monotonic() - started
                time.sleep(15)
                watch = Watch(running.pid, root, settle_s, seconds, metrics_port)
                return idle(api, watch, mounted=mounted)


def credentials(api: ApiThread, root: Path) -> list[str]:
    """Return the arguments for the API's credentials: those of a pod, over TLS, if possible."""
    if api.server.authority is None:
        return ["--kubeconfig", str(api.call(api.server.write_kubeconfig, root / "kubeconfig"))]
    (root / "token").write_text("bench")
    (root / "ca.crt").write_bytes(api.server.authority.certificate_pem)
    os.environ["KUBERNETES_SERVICE_HOST"] = "127.0.0.1"
    os.environ["KUBERNETES_SERVICE_PORT"] = str(api.server.port)
    return ["--service-account", str(root)]


def wait_for(holds: object, root: Path, seconds: float) -> None:
    """Wait; show the logs when it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]  # any callable
        if time.monotonic() > deadline:
            for log in root.glob("*.log"):
                sys.stderr.write(f"--- {log.name}\n{log.read_text()[-4000:]}\n")
            raise SystemExit("the bench did not get ready in time")
        time.sleep(0.1)


def is_applied(api: ApiThread) -> bool:
    """Say whether the agent reports that the whole plan is in the kernel."""
    status = api.call(api.server.cluster.get, "damonnodes", NODE).get("status", {})
    ready = {c["type"]: c["status"] for c in status.get("conditions", ())}
    return ready.get("Applied") == "True" and status.get("targets") == PODS * CONTAINERS


@dataclass(frozen=True)
class Watch:
    """What is watched, and for how long."""

    pid: int
    root: Path
    settle_s: float
    seconds: float
    metrics_port: int

    def wait(self) -> int:
        """Let the time pass; scrape as Prometheus does, if there is something to scrape."""
        url, scrapes = f"http://127.0.0.1:{self.metrics_port}/metrics", 0
        deadline = time.monotonic() + self.seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.metrics_port:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    answer.read()
                scrapes += 1
            time.sleep(min(left, SCRAPE_S))
        return scrapes


def idle(api: ApiThread, watch: Watch, *, mounted: bool) -> Result:
    """Watch the process for a while."""
    pid, root, settle_s = watch.pid, watch.root, watch.settle_s
    control = Control(root / "control")
    log_before = len((root / "agent.log").read_text())
    patches_before = len(api.server.journal.writes("damonnodes"))
    writes_before = len(control.do("dump")["writes"])
    before, ended_before, began = cpu_s(pid), ended_cpu_s(pid), time.monotonic()
    scrapes = watch.wait()
    passed = time.monotonic() - began
    cpu, commands = cpu_s(pid) - before, ended_cpu_s(pid) - ended_before
    ticks = [
        int(found) / 1000
        for found in re.findall(
            r"tick took (\d+) us", (root / "agent.log").read_text()[log_before:]
        )
    ]
    memory = {
        line.split(":")[0]: int(line.split()[1]) / 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith(("VmRSS", "VmHWM", "RssAnon", "Threads"))
    }
    return Result(
        transport="FUSE" if mounted else "unix socket (its code is in the agent's memory)",
        scrapes=scrapes,
        credentials="service account, TLS" if api.server.authority else "kubeconfig, no TLS",
        settle_s=round(settle_s, 1),
        rss_mb=round(memory["VmRSS"], 1),
        rss_peak_mb=round(memory["VmHWM"], 1),
        private_mb=round(memory["RssAnon"], 1),
        cpu_percent=round(100 * cpu / passed, 2),
        cpu_commands_percent=round(100 * commands / passed, 2),
        ticks=len(ticks),
        tick_median_ms=round(statistics.median(ticks), 1),
        tick_max_ms=round(max(ticks), 1),
        status_writes=len(api.server.journal.writes("damonnodes")) - patches_before,
        sysfs_writes=len(control.do("dump")["writes"]) - writes_before,
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=round(memory["Threads"] * 1024),
    )


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ended_cpu_s(pid: int) -> float:
    """Return what those threads of a process took that have ended."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return cpu_s(pid) - sum(cpu_s(f"{pid}/task/{thread.name}") for thread in threads)


def cpu_s(task: int | str) -> float:
    """Return user and system time of a process, or of one of its threads, so far."""
    fields = Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print data instead of a table")
    parser.add_argument("--seconds", type=float, default=66, help="how long to watch it idle")
    parser.add_argument("--metrics", action="store_true", help="serve metrics, and scrape them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="damon-bench-") as directory:
        result = measure(Path(directory), options.seconds, free_port() if options.metrics else 0)
    goals = {
        "rss_mb": GOAL_RSS_MB,
        "cpu_percent": GOAL_CPU_PERCENT,
        "tick_median_ms": GOAL_TICK_MS,
    }
    if options.json:
        print(json.dumps({**asdict(result), "goals": goals}, indent=2))
        return
    print(f"one idle agent, {PODS} planned pods, {PODS * CONTAINERS} targets, {options.seconds} s")
    for name, value in asdict(result).items():
        goal = goals.get(name)
        verdict = "" if goal is None else f"goal {goal:g}: {'met' if value <= goal else 'MISSED'}"
        print(f"  {name:<20} {value!s:>8}  {verdict}".rstrip())


if __name__ == "__main__":
    main()
