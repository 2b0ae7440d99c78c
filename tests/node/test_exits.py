import errno
import os
import resource
import subprocess
import sys
import threading
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


ONE_OF_MANY = {errno.ESRCH, errno.EINVAL, errno.ENOENT}


@pytest.mark.parametrize("code", sorted(errno.errorcode.keys() - ONE_OF_MANY))
def test_whatever_pidfd_open_refuses_it_says_so_once_and_goes_on(exits, monkeypatch, caplog, code):
    def refuse(_pid):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    exits.watch([Process(1, 1)])
    exits.watch([Process(1, 1), Process(2, 1)])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert exits.exited() == 0


@pytest.mark.parametrize("code", sorted(ONE_OF_MANY))
def test_a_process_that_cannot_be_watched_keeps_no_other_from_it(
    exits, monkeypatch, caplog, child, code
):
    opened = os.pidfd_open

    def refuse_one(pid):
        if pid == 1:
            raise OSError(code, os.strerror(code))
        return opened(pid)

    monkeypatch.setattr(os, "pidfd_open", refuse_one)
    exits.watch([Process(1, 1), Process(child.pid, 1)])
    assert set(exits.watched) == {Process(child.pid, 1)}
    assert not caplog.records


def test_a_thread_that_is_not_the_first_of_its_process_is_left_to_the_periodic_look(exits):
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    exits.watch([Process(thread.native_id, 1), Process(2**40, 1), Process(os.getppid(), 1)])
    assert set(exits.watched) == {Process(os.getppid(), 1)}
    done.set()
    thread.join()


def test_without_room_in_epoll_nothing_leaks(exits, caplog, child):
    class Full:
        def register(self, *_):
            raise OSError(errno.ENOSPC, "no space")

    epoll, exits._epoll = exits._epoll, Full()
    before = open_descriptors()
    exits.watch([Process(child.pid, 1)])
    exits._epoll = epoll
    assert open_descriptors() == before
    assert not exits.watched
    assert "epoll_ctl" in caplog.text


def test_of_a_crowd_that_dies_at_once_everybody_is_seen(monkeypatch):
    """epoll_wait(2) returns 1023 at a time unless more are asked for."""
    exits = Exits(lambda _: True)
    reads, writes = zip(*(os.pipe() for _ in range(1100)), strict=True)
    monkeypatch.setattr(os, "pidfd_open", lambda pid: os.dup(reads[pid]))
    exits._most = 2000
    exits.watch([Process(pid, 1) for pid in range(1100)])
    for descriptor in writes:
        os.close(descriptor)
    try:
        assert not any(exits.is_alive(Process(pid, 1)) for pid in range(1100))
        assert exits.exited() == 1100
    finally:
        exits.close()
        for descriptor in reads:
            os.close(descriptor)


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
