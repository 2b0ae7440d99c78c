"""The container runtime's process: forks containers, reports their exits, ends with its input.

Run as `python -I -S shim.py`, so that it is small; every container is a fork of it in a session
of its own. Requests come as JSON lines on stdin, reports go out on stdout:

    {"start": COMM}   -> {"started": PID}
    {"fork": PID}     -> {"forked": PID of the child, "session": PID}, said by the child itself
    {"end": PID}      all processes of the container are killed
    {"crash": PID}    its main process is killed; as in a pid namespace the others go with it
                      {"exited": PID} when no process of a container is left

The end of stdin ends all containers. Should this process be killed, they notice by the pipe whose
writing end only it holds, and end themselves.
"""

import ctypes
import gc
import json
import os
import select
import signal
from typing import NoReturn

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: orphans come to us, not to a PID 1 that may not reap


def main() -> None:
    """Serve requests until stdin ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    lifeline, held = os.pipe()
    wakeup = _wakeup_pipe()
    containers: set[int] = set()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    gc.collect()
    gc.freeze()  # forks share these pages as long as nobody counts references in them
    buffered = b""
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if wakeup in ready:
            os.read(wakeup, 4096)
            _reap(containers)
        if 0 in ready:
            received = os.read(0, 65536)
            if not received:
                break
            *lines, buffered = (buffered + received).split(b"\n")
            for line in lines:
                _serve(json.loads(line), containers, lifeline, held)
    for pid in containers:
        os.killpg(pid, signal.SIGKILL)
        _wait_for_group(pid)


def _serve(request: dict[str, str | int], containers: set[int], lifeline: int, held: int) -> None:
    [(what, value)] = request.items()
    if what == "start":
        pid = _start(str(value), lifeline, held)
        containers.add(pid)
        _say(started=pid)
    # A container that was not reaped yet keeps its pid, so that nobody else can be hit.
    elif value in containers:
        pid = int(value)
        if what == "fork":
            os.kill(pid, signal.SIGUSR1)
        elif what == "end":
            os.killpg(pid, signal.SIGKILL)
        elif what == "crash":
            os.kill(pid, signal.SIGKILL)


def _say(**report: int) -> None:
    os.write(1, json.dumps(report).encode() + b"\n")  # short: one write is one line


def _reap(containers: set[int]) -> None:
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        if ended.si_pid in containers:
            # Not waited for yet, it keeps the group's number from being given to others.
            os.killpg(ended.si_pid, signal.SIGKILL)
            _wait_for_group(ended.si_pid)
            containers.discard(ended.si_pid)
            _say(exited=ended.si_pid)
        else:
            os.waitpid(ended.si_pid, 0)


def _wait_for_group(pid: int) -> None:
    """Reap a killed group; those whose parent dies become ours while we wait."""
    try:
        while True:
            os.waitpid(-pid, 0)
    except ChildProcessError:
        return


def _wakeup_pipe() -> int:
    """Return a descriptor that tells of signals; each process needs its own."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _start(comm: str, lifeline: int, held: int) -> int:
    """Fork a container; return when it is in its own session and can take signals."""
    settled, settling = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()
        with open("/proc/self/comm", "w", encoding="ascii") as name:  # noqa: PTH123 - small
            name.write(comm)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        wakeup = _wakeup_pipe()
        for descriptor in (held, settled, settling, nowhere):
            os.close(descriptor)
        _live(lifeline, wakeup)
    os.close(settling)
    os.read(settled, 1)
    os.close(settled)
    return pid


def _live(lifeline: int, wakeup: int) -> NoReturn:
    """Be a process of a container: fork when told, reap, end with the shim."""
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if lifeline in ready:
            os.killpg(0, signal.SIGKILL)
        numbers = os.read(wakeup, 4096)
        if signal.SIGTERM in numbers:
            os._exit(0)
        if signal.SIGCHLD in numbers:
            _reap_children()
        for _ in range(numbers.count(signal.SIGUSR1)):
            if not os.fork():
                wakeup = _wakeup_pipe()
                _say(forked=os.getpid(), session=os.getsid(0))
                _live(lifeline, wakeup)


def _reap_children() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
