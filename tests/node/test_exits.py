import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from damon_agent.bell import Bell
from damon_agent.facts import Process
from damon_agent.node.exits import Exits

LONG_US = 20_000_000


@pytest.fixture
def exits():
    watcher = Exits(lambda _: True)
    yield watcher
    watcher.close()


@pytest.fixture
def bell(exits):
    bell = Bell([exits.fileno()])
    yield bell
    bell.close()


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def open_descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_the_loop_wakes_when_a_target_exits(exits, bell, child):
    exits.watch([Process(child.pid, 1)])
    child.kill()
    bell.wait(LONG_US)
    assert exits.exited() == 1


def test_an_exit_is_told_once(exits, child):
    exits.watch([Process(child.pid, 1)])
    child.kill()
    child.wait()
    assert exits.exited() == 1
    assert exits.exited() == 0


def test_a_process_that_is_no_target_any_more_is_not_watched(exits, child):
    before = open_descriptors()
    exits.watch([Process(child.pid, 1)])
    assert open_descriptors() == before + 1
    exits.watch([])
    assert open_descriptors() == before


def test_a_target_that_is_gone_already_is_left_to_the_next_look(exits, child):
    child.kill()
    child.wait()
    exits.watch([Process(child.pid, 1)])
    assert exits.exited() == 0


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS, errno.EMFILE])
def test_without_permission_or_descriptors_it_says_so_once_and_goes_on(
    exits, monkeypatch, caplog, code
):
    def refuse(_pid):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    exits.watch([Process(1, 1)])
    exits.watch([Process(1, 1), Process(2, 1)])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert exits.exited() == 0


def test_it_never_takes_more_descriptors_than_its_share(monkeypatch, caplog):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (257, 1024))
    exits = Exits(lambda _: True)
    before = open_descriptors()
    exits.watch([Process(os.getpid(), 1), Process(os.getppid(), 1)])
    assert open_descriptors() == before + 1
    assert "descriptors for 1" in caplog.text
    exits.close()


def test_a_ring_before_the_wait_is_not_lost():
    bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait(LONG_US)
    bell.close()


def test_a_descriptor_of_a_later_process_with_the_same_pid_is_not_kept(child):
    exits = Exits(lambda _: False)
    before = open_descriptors()
    exits.watch([Process(child.pid, 1)])
    assert open_descriptors() == before
    assert not exits.watched
    exits.close()


def test_a_watched_process_lives_until_its_descriptor_says_otherwise(child):
    exits = Exits(lambda _: True)
    process = Process(child.pid, 1)
    exits.watch([process])
    assert exits.is_alive(process)
    child.kill()
    child.wait()
    assert not exits.is_alive(process)
    exits.close()


def test_whether_an_unwatched_process_lives_is_asked():
    exits = Exits(lambda process: process.pid == 7)
    assert exits.is_alive(Process(7, 1))
    assert not exits.is_alive(Process(8, 1))
    exits.close()
