"""Real processes for DAMON to watch, by name."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

from .machine import MachineError

_CHILD: Final = Path(__file__).with_name("child.py")
_LAST_PID: Final = Path("/proc/sys/kernel/ns_last_pid")
_TRIES: Final = 50


class Process:
    """One child, or a process that a namespace's first one has forked (`leader`, `inner`)."""

    def __init__(self, *arguments: str, keep: tuple[int, ...] = ()) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_CHILD), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=keep,
        )
        self.pid = self._popen.pid

    def ask(self, question: str) -> str:
        """Let it do something; return its answer. MachineError if it died of it."""
        self._tell(question)
        stdout = self._popen.stdout
        assert stdout is not None
        answer = stdout.readline().decode().strip()
        if not answer:
            raise MachineError(f"process {self.pid} gave no answer to {question!r}")
        return answer

    def exit(self) -> None:
        """Let it end and be a zombie."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def abandon(self) -> None:
        """Let it end, leaving a child in its session."""
        self._tell("abandon")
        self.reap()

    def reap(self) -> None:
        """Remove the zombie."""
        self._popen.wait()

    def close(self) -> None:
        """End it, and whoever still reads the same input."""
        if self._popen.returncode is None:
            self._popen.kill()
            self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                _closed(stream)

    def _tell(self, line: str) -> None:
        stdin = self._popen.stdin
        assert stdin is not None
        stdin.write(f"{line}\n".encode())
        stdin.flush()


def _closed(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is left to read what was not flushed
        stream.close()


def with_pid(pid: int) -> Process:
    """Start a process under a number that is free; MachineError if it cannot be had."""
    for _ in range(_TRIES):
        _LAST_PID.write_text(str(pid - 1), "ascii")
        process = Process()
        if process.pid == pid:
            return process
        process.close()
    raise MachineError(f"pid {pid} was not to be had in {_TRIES} attempts")


class Inhabitant:
    """A process in a pid namespace, forked by the first one there."""

    def __init__(self, leader: Process) -> None:
        self._leader = leader
        self.inner = int(leader.ask("fork"))
        self.pid = _outer_pid(leader, self.inner)

    def kill(self) -> None:
        """End and reap it."""
        os.kill(self.pid, signal.SIGKILL)
        self._leader.ask(f"reap {self.inner}")


def _outer_pid(leader: Process, inner: int) -> int:
    """Find a grandchild by its number in its own namespace."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text("utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        numbers = re.search(r"^NSpid:\t(.+)$", text, re.MULTILINE)
        if numbers and numbers[1].split()[1:] == [str(inner)] and _is_below(text, leader.pid):
            return int(numbers[1].split()[0])
    raise MachineError(f"no process {inner} in the namespace of {leader.pid}")


def _is_below(status: str, ancestor: int) -> bool:
    """Return whether the parent's parent is this process: the namespace's first one is between."""
    parent = re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE)
    if parent is None:
        return False
    above = Path(f"/proc/{parent[1]}/status").read_text("utf-8")
    return f"PPid:\t{ancestor}\n" in above
