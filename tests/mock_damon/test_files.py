"""The emulator as files for threads: virtual and real time."""

import threading

import pytest

from damon_mock.damon import (
    Fault,
    Hangs,
    RealtimeFiles,
    SharedEmulator,
    Ticker,
    VirtualFiles,
    WouldHangForever,
)


@pytest.fixture(params=["6.12", "7.2"])
def machine(request, make_machine):
    machine = make_machine(request.param)
    machine.prepare(machine.processes.spawn())
    machine.command("on")
    machine.emulator.advance(10_000)
    return machine


def test_files_can_start_at_a_directory(machine):
    both = VirtualFiles(machine.emulator)
    assert both.list("") == ["damon", "module"]
    assert both.under("damon").under("admin").read("kdamonds/nr_kdamonds") == b"1\n"
    assert both.under("module").read("damon_reclaim/parameters/enabled") == b"N\n"


def test_a_limit_of_0_lets_every_waiting_write_raise_at_once(machine):
    files = VirtualFiles(machine.emulator, "damon", limit_us=0)
    before_us = machine.emulator.now_us
    with pytest.raises(WouldHangForever) as waiting:
        files.write("admin/kdamonds/0/state", b"commit")
    assert machine.emulator.now_us == before_us
    machine.emulator.advance(1_000_000)
    files.finish(waiting.value.pending)


def test_a_blocked_write_is_freed_by_off_from_another_thread(machine):
    machine.emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
    shared = SharedEmulator(machine.emulator)
    files = VirtualFiles(shared, "damon", limit_us=200_000, blocks=True)
    outcome = []

    def commit():
        files.write("admin/kdamonds/0/state", b"commit")
        outcome.append("returned")

    writer = threading.Thread(target=commit)
    writer.start()
    with shared.changed:
        hangs = shared.changed.wait_for(lambda: machine.emulator.kdamonds[0].request, timeout=10)
    assert hangs is not None
    files.write("admin/kdamonds/0/state", b"off")
    writer.join(10)
    assert outcome == ["returned"]


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


def test_a_ticker_brings_the_emulator_to_the_present(machine):
    clock = Clock()
    ticker = Ticker(SharedEmulator(machine.emulator), clock=clock)
    files = RealtimeFiles(ticker, "damon")
    before_us = machine.emulator.now_us
    clock.seconds += 2.5
    assert files.under("admin").read("kdamonds/0/state") == b"on\n"
    assert machine.emulator.now_us == before_us + 2_500_000


def test_a_realtime_write_blocks_until_the_ticker_has_brought_the_answer(machine):
    with Ticker(SharedEmulator(machine.emulator)) as ticker:
        files = RealtimeFiles(ticker, "damon")
        files.write("admin/kdamonds/0/state", b"update_schemes_stats")
        files.write("admin/kdamonds/0/state", b"off")
        assert files.read("admin/kdamonds/0/state") == b"off\n"


def test_a_realtime_write_raises_what_the_kernel_says(machine):
    with Ticker(SharedEmulator(machine.emulator)) as ticker:
        files = RealtimeFiles(ticker, "damon")
        with pytest.raises(OSError, match="Invalid"):
            files.write("admin/kdamonds/0/state", b"nonsense")


def test_closing_lets_waiting_writes_return_eio(machine):
    machine.emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
    failed = []
    with Ticker(SharedEmulator(machine.emulator)) as ticker:
        files = RealtimeFiles(ticker, "damon")

        def commit():
            try:
                files.write("admin/kdamonds/0/state", b"commit")
            except OSError as error:
                failed.append(error.errno)

        writer = threading.Thread(target=commit)
        writer.start()
        with ticker.shared.changed:
            ticker.shared.changed.wait_for(
                lambda: machine.emulator.kdamonds[0].request is not None, timeout=10
            )
        ticker.shared.close()
        writer.join(10)
    assert failed == [5]
