"""State writes never hold up who starts them."""

import errno
import threading

import pytest

from damon_agent.kernel.tree.commands import Command, Keyword, Outcome, ThreadCommands
from damon_agent.kernel.tree.errors import Busy, Rejected
from damon_agent.kernel.tree.kdamond import Kdamond
from damon_agent.kernel.tree.sysfs import Sysfs
from damon_mock.damon import (
    Emulator,
    Fault,
    Hangs,
    SharedEmulator,
    SimulatedProcesses,
    VirtualFiles,
)

PATIENCE_S = 20


class Gate:
    """Files whose write waits until somebody opens the gate."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def read(self, path: str) -> bytes:
        raise NotImplementedError(path)

    def list(self, path: str) -> list[str]:
        raise NotImplementedError(path)

    def write(self, path: str, data: bytes) -> None:
        assert (path, data) == ("admin/kdamonds/3/state", b"commit")
        assert self.opened.wait(PATIENCE_S)


def test_a_command_on_a_thread_is_started_now_and_done_later():
    gate, woken = Gate(), threading.Event()
    command = ThreadCommands(Sysfs(gate), woken.set).start(3, Keyword.COMMIT)
    assert not command.done
    gate.opened.set()
    assert woken.wait(PATIENCE_S)
    assert command.done
    assert command.error is None


def running(emulator: Emulator, files: VirtualFiles) -> None:
    """Bring up one kdamond with one process."""
    pid = emulator.processes.spawn().pid
    base = "admin/kdamonds"
    for path, value in (
        ("nr_kdamonds", "1"),
        ("0/contexts/nr_contexts", "1"),
        ("0/contexts/0/targets/nr_targets", "1"),
        ("0/contexts/0/targets/0/pid_target", str(pid)),
        ("0/state", "on"),
    ):
        files.write(f"{base}/{path}", value.encode())


def test_off_from_another_thread_frees_a_hung_commit():
    emulator = Emulator("6.12", SimulatedProcesses())
    files = VirtualFiles(SharedEmulator(emulator), "damon", blocks=True)
    running(emulator, files)
    emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
    ended = threading.Semaphore(0)
    commands = ThreadCommands(Sysfs(files), ended.release)
    hung = commands.start(0, Keyword.COMMIT)
    free = commands.start(0, Keyword.OFF)
    for _ in range(2):
        assert ended.acquire(timeout=PATIENCE_S)
    assert free.done
    assert hung.done
    assert files.read("admin/kdamonds/0/state") == b"off\n"


def test_a_refused_command_carries_its_error():
    emulator = Emulator("7.2", SimulatedProcesses())
    files = VirtualFiles(SharedEmulator(emulator), "damon")
    running(emulator, files)
    ended = threading.Semaphore(0)
    commands = ThreadCommands(Sysfs(files), ended.release)
    errors = []
    for keyword in (Keyword.ON, Keyword.OFF, Keyword.COMMIT):
        command = commands.start(0, keyword)
        assert ended.acquire(timeout=PATIENCE_S)
        errors.append(command.error)
    assert [type(error) for error in errors] == [Busy, type(None), Rejected]


def test_commands_are_counted_while_they_last_and_by_what_became_of_them():
    gate, ended = Gate(), threading.Semaphore(0)
    commands = ThreadCommands(Sysfs(gate), ended.release)
    commands.start(3, Keyword.COMMIT)
    assert (commands.under_way, commands.outcomes) == (1, {})
    gate.opened.set()
    assert ended.acquire(timeout=PATIENCE_S)
    assert (commands.under_way, commands.outcomes) == (0, {(Keyword.COMMIT, Outcome.ACCEPTED): 1})

    emulator = Emulator("7.2", SimulatedProcesses())
    files = VirtualFiles(SharedEmulator(emulator), "damon")
    running(emulator, files)
    commands = ThreadCommands(Sysfs(files), ended.release)
    for keyword in (Keyword.ON, Keyword.OFF, Keyword.OFF):
        commands.start(0, keyword)
        assert ended.acquire(timeout=PATIENCE_S)
    assert commands.under_way == 0
    assert commands.outcomes == {
        (Keyword.ON, Outcome.BUSY): 1,
        (Keyword.OFF, Outcome.ACCEPTED): 1,
        (Keyword.OFF, Outcome.REFUSED): 1,
    }


def test_a_command_that_no_thread_can_be_had_for_is_answered_and_not_under_way(monkeypatch):
    def no_more(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    commands = ThreadCommands(Sysfs(Gate()))
    command = commands.start(3, Keyword.COMMIT)
    assert (command.done, type(command.error)) == (True, Busy)
    assert (commands.under_way, commands.outcomes) == (0, {(Keyword.COMMIT, Outcome.BUSY): 1})


def test_what_freed_a_command_says_nothing_of_the_next_one():
    """The one that hung came back with EBUSY: then nothing is left of it to be freed."""
    started = []

    class Held:
        def start(self, kdamond, keyword, _then=None):
            started.append(Command(kdamond, keyword))
            return started[-1]

    emulator = Emulator("7.2", SimulatedProcesses())
    files = VirtualFiles(SharedEmulator(emulator), "damon")
    running(emulator, files)
    kdamond = Kdamond(0, Sysfs(files), Held(), lambda _pid: 0)
    kdamond.start(Keyword.COMMIT, 0, 1_000)
    assert kdamond.hangs(2_000)
    assert kdamond.free() is Keyword.COMMIT
    hung, freeing = started
    hung.error = Busy("admin/kdamonds/0/state", "commit", OSError(errno.EBUSY, "busy"))
    hung.done = freeing.done = True
    with pytest.raises(Busy):
        kdamond.take_answer()
    kdamond.start(Keyword.COMMIT, 3_000, 1_000)
    assert kdamond.holds_kernel
    assert kdamond.hangs(5_000)
    assert kdamond.free() is Keyword.COMMIT, "it is freed as the first one was"
