"""What the soak sees of an emulated kernel, and what it does to it."""

import errno

import pytest
from soak import judge, kernel

from damon_mock.damon import Emulator, SharedEmulator, SimulatedProcesses, Ticker, VirtualFiles

KDAMONDS = "damon/admin/kdamonds"


@pytest.fixture(name="emulator")
def emulator_fixture():
    return Emulator("6.18", SimulatedProcesses())


@pytest.fixture(name="ask")
def ask_fixture(emulator):
    ticker = Ticker(SharedEmulator(emulator), clock=lambda: 0.0)

    def ask(verb, **keys):
        return kernel.answer(ticker, {"do": verb, **keys})

    return ask


def look(ask, since_write=0):
    return ask("look", since_write=since_write, since_event=0)


def test_a_write_of_the_agent_to_what_somebody_else_has_made_is_seen(emulator, ask):
    files = VirtualFiles(emulator)
    files.write(f"{KDAMONDS}/nr_kdamonds", b"2")
    assert look(ask)["wrong_writes"] == []
    ask("write", path=f"{KDAMONDS}/nr_kdamonds", value="0")
    ask("write", path=f"{KDAMONDS}/nr_kdamonds", value="8")
    assert look(ask)["wrong_writes"] == []
    before = look(ask)["writes"]
    files.write(f"{KDAMONDS}/0/contexts/nr_contexts", b"1")
    assert look(ask)["wrong_writes"] == [f"{KDAMONDS}/0/contexts/nr_contexts <- 1"]
    assert look(ask, before)["wrong_writes"]
    assert not look(ask, before + 1)["wrong_writes"]


def test_targets_are_those_of_the_kernel_and_not_those_of_sysfs(emulator, ask):
    process = emulator.processes.spawn()
    files = VirtualFiles(emulator)
    for path, value in (
        ("nr_kdamonds", "1"),
        ("0/contexts/nr_contexts", "1"),
        ("0/contexts/0/operations", "vaddr"),
        ("0/contexts/0/targets/nr_targets", "1"),
        ("0/contexts/0/targets/0/pid_target", str(process.pid)),
        ("0/contexts/0/schemes/nr_schemes", "1"),
        ("0/contexts/0/schemes/0/action", "stat"),
        ("0/state", "on"),
    ):
        files.write(f"{KDAMONDS}/{path}", value.encode())
    [lane] = judge.lanes(look(ask))
    assert lane.pids == (process.pid,)
    files.write(f"{KDAMONDS}/0/contexts/0/targets/0/pid_target", b"1")
    assert judge.lanes(look(ask)) == [lane]
    [kdamond] = look(ask)["kdamonds"]
    assert kdamond["creator"] == "agent"
    assert ask("write", path=f"{KDAMONDS}/nr_kdamonds", value="2") == {"errno": errno.EBUSY}
    ask("reboot")
    assert look(ask)["nr_kdamonds"] == 0


def test_a_fault_hits_and_is_taken_back(emulator, ask):
    files = VirtualFiles(emulator)
    path = f"{KDAMONDS}/nr_kdamonds"
    ask("inject", path=path, value="*", effect="EINTR", times=1)
    with pytest.raises(InterruptedError):
        files.write(path, b"1")
    files.write(path, b"1")
    ask("inject", path=path, value="*", effect="EIO", times=9)
    ask("clear")
    files.write(path, b"0")
