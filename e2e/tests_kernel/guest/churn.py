"""Containers by the dozen: cgroups with processes, made as a runtime makes them, only faster.

usage: churn.py start NUMBER | end ID UID... | fork PID... | exec PID... | again PID
Prints JSON: of `start` a list of {id, uid, pid}; of `again`, which starts a process of nobody's
under a pid that has become free, whether that came to pass.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup/kubepods/burstable")
# USR1 forks, USR2 execs; a container's first process does nothing else.
PROGRAM = (
    "trap 'sleep 90000 &' USR1; trap 'exec sleep 80000' USR2; sleep 70000 & while :; do wait; done"
)


def start(number: int) -> list[dict[str, object]]:
    """Start so many containers, each in a pod of its own."""
    made: list[dict[str, object]] = []
    for _ in range(number):
        pod, identity = str(uuid.uuid4()), secrets.token_hex(32)
        cgroup = ROOT / f"pod{pod}" / identity
        cgroup.mkdir(parents=True)
        process = subprocess.Popen(
            ["sh", "-c", f"echo $$ >{cgroup}/cgroup.procs; {PROGRAM}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        made.append({"id": identity, "uid": pod, "pid": process.pid})
    return made


def end(identity: str, pod: str) -> None:
    """Kill all of a container and take its cgroups away."""
    cgroup = ROOT / f"pod{pod}" / identity
    (cgroup / "cgroup.kill").write_text("1")
    while (cgroup / "cgroup.procs").read_text():
        pass
    cgroup.rmdir()
    cgroup.parent.rmdir()


def again(pid: int) -> bool:
    """Start a process that has a pid which somebody else had."""
    for _ in range(20):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        child = os.fork()
        if child == 0:
            os.setsid()
            # Whoever reads what we say waits until nobody can say anything any more.
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            os.execvp("sleep", ["sleep", "60000"])
        if child == pid:
            return True
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return False


action, *rest = sys.argv[1:]
answer: object = None
match action:
    case "start":
        answer = start(int(rest[0]))
    case "end":
        for identity, pod in zip(rest[::2], rest[1::2], strict=True):
            end(identity, pod)
    case "fork" | "exec":
        for pid in rest:
            # One that became `sleep` before ends by the next signal.
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGUSR1 if action == "fork" else signal.SIGUSR2)
    case "again":
        answer = again(int(rest[0]))
json.dump(answer, sys.stdout)
