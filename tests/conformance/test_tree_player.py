"""The player of real trees, on a mounted mock: the same transcripts as in the same process."""

from dataclasses import replace
from pathlib import Path

import pytest

from damon_mock.conformance import goldens, playing, transcripts
from damon_mock.conformance.emulated import EmulatedMachine
from damon_mock.conformance.parsing import parse
from damon_mock.conformance.tree import TreeMachine
from damon_mock.damon import Emulator, HostProcesses, SharedEmulator, Ticker, fuse

LONGEST = "Every scalar file"
"""Two thousand writes, which say nothing of the player."""


@pytest.fixture
def mounted(tmp_path):
    missing = fuse.missing()
    if missing is not None:
        pytest.skip(missing)
    directory = tmp_path / "mnt"
    directory.mkdir()
    emulator = Emulator("7.2", HostProcesses(Path("/proc")))
    with Ticker(SharedEmulator(emulator)) as ticker, fuse.Mount(ticker, directory):
        machine = TreeMachine(directory / "damon", directory / "module")
        yield machine
        machine.clear()
        machine.close()


def in_process():
    machine = EmulatedMachine("7.2")
    machine.capabilities = frozenset({"modules"})
    return machine


def both(script, mounted):
    played = playing.play(script, mounted, playing.probe(mounted), "played")
    emulated = in_process()
    return played, playing.play(script, emulated, playing.probe(emulated), "played")


@pytest.mark.fuse
@pytest.mark.parametrize("name", ["counts", "modules", "parsing", "processes", "tree"])
def test_a_mount_gives_the_same_transcript(name, mounted):
    script = goldens.script(name)
    cases = tuple(case for case in script.cases if case.title != LONGEST)
    played, emulated = both(replace(script, cases=cases), mounted)
    assert transcripts.difference(emulated, played) == ""


@pytest.mark.fuse
def test_a_write_that_waits_does_not_block_the_player(mounted):
    script = parse(
        "demo",
        """== one
        kdamonds 1
        intervals 2s 4s 60s
        start a
        targets $a.pid
        state 0 on
        state 0 commit as slow
        sleep 200 ms
        outcome slow within 1 ms
        state 0 update_schemes_stats
        outcome slow within 60 s
        read 0/state
        """,
    )
    played, emulated = both(script, mounted)
    assert transcripts.difference(emulated, played) == ""
    assert [result for _, result in played.cases[0].steps][-4:] == ["waits", "EBUSY", "ok", "on"]
