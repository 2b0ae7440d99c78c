"""The player of real trees, on a mounted mock: the same transcripts as in the same process."""

import contextlib
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
def both(tmp_path):
    """Return a player of a script on a mount and in this process; it returns both transcripts."""
    missing = fuse.missing()
    if missing is not None:
        pytest.skip(missing)
    with contextlib.ExitStack() as stack:

        def play(script, profile):
            directory = tmp_path / "mnt"
            directory.mkdir()
            emulator = Emulator(profile, HostProcesses(Path("/proc")))
            ticker = stack.enter_context(Ticker(SharedEmulator(emulator)))
            stack.enter_context(fuse.Mount(ticker, directory))
            machine = TreeMachine(directory / "damon", directory / "module")
            stack.callback(machine.close)
            stack.callback(machine.clear)
            played = playing.play(script, machine, playing.probe(machine), "played")
            emulated = EmulatedMachine(profile)
            emulated.capabilities = machine.capabilities
            return played, playing.play(script, emulated, playing.probe(emulated), "played")

        yield play


@pytest.mark.fuse
@pytest.mark.parametrize("name", ["counts", "modules", "parsing", "processes", "tree"])
def test_a_mount_gives_the_same_transcript(name, both):
    script = goldens.script(name)
    cases = tuple(case for case in script.cases if case.title != LONGEST)
    played, emulated = both(replace(script, cases=cases), "7.2")
    assert transcripts.difference(emulated, played) == ""


@pytest.mark.fuse
def test_a_write_that_waits_does_not_block_the_player(both):
    script = parse(
        "demo",
        """== one
        kdamonds 1
        intervals 600s 600s 600s
        start a
        targets $a.pid
        state 0 on
        state 0 commit as slow
        sleep 200 ms
        outcome slow within 1 ms
        state 0 off
        outcome slow within 100 s
        read 0/state
        """,
    )
    played, emulated = both(script, "6.12")
    assert transcripts.difference(emulated, played) == ""
    assert [result for _, result in played.cases[0].steps][-4:] == ["waits", "ok", "ok", "off"]
