"""The scripts about the priority patches, and the ways to play them on a tree of files.

Nothing but the tree's root tells the emulator from a kernel: here it is a mount of the emulator.
"""

import re
from pathlib import Path

import pytest

from damon_mock.conformance import goldens, playing, transcripts
from damon_mock.conformance.command import main
from damon_mock.conformance.emulated import EmulatedMachine
from damon_mock.conformance.language import Script
from damon_mock.conformance.parsing import parse
from damon_mock.conformance.tree import TreeMachine
from damon_mock.damon import (
    Emulator,
    HostProcesses,
    MeminfoMemory,
    SharedEmulator,
    Ticker,
    fuse,
)

GOLDENS = Path(__file__).with_name("goldens")
SCRIPTS = [name for name in goldens.names() if name.startswith("rfc_")]
CASES = {case.title: (name, case) for name in SCRIPTS for case in goldens.script(name).cases}
BRIEF = [
    "A target that has just been made has the number 0",
    "What it takes",
    "What it refuses",
    "Writing nothing changes nothing",
    "Only counting anew brings 0 back, and forgets the pids too",
    "The schemes of the user are destroyed in the kernel, and sysfs goes on showing them",
    "A quota of 10 ms, guessed to be 40 MiB",
    "Marks go from 100 to what is free: 10, 50 and 90 at 893 are 100, 496 and 893",
    "Off and on again with numbers uses freed memory",
    "Two of the same number",
]
"""Those that take no more than a moment of real time."""


@pytest.fixture
def mount(tmp_path):
    """Return a mounted emulator over the real processes: its directory, its gauge, and itself."""
    if (missing := fuse.missing()) is not None:
        pytest.skip(missing)
    gauge = tmp_path / "meminfo"
    gauge.write_text("MemTotal: 8388608 kB\nMemFree: 7969178 kB\nSwapTotal: 1048576 kB\n")
    directory = tmp_path / "mnt"
    directory.mkdir()
    emulator = Emulator("rfc", HostProcesses(Path("/proc")), MeminfoMemory(gauge))
    with Ticker(SharedEmulator(emulator)) as ticker, fuse.Mount(ticker, directory):
        yield directory, gauge, emulator


@pytest.mark.fuse
@pytest.mark.parametrize("title", BRIEF)
def test_a_mount_says_what_was_observed(title, mount):
    directory, gauge, emulator = mount
    name, case = CASES[title]
    machine = TreeMachine(directory / "damon", directory / "module", gauge=gauge, fresh=True)
    try:
        script = Script(name, (case,))
        played = playing.play(script, machine, playing.probe(machine), "played")
    except OSError:  # the machine died of it, as it should: nothing can be cleaned up
        assert emulator.panicked
        return
    finally:
        machine.clear()
        machine.close()
    golden = goldens.load(GOLDENS / "rfc", name)
    others = CASES.keys() - {title}
    assert played.cases[0].skipped is None
    assert transcripts.difference(golden, played, without=others) == ""


@pytest.mark.fuse
def test_the_command_compares_what_can_be_played_there(mount, capsys, monkeypatch):
    directory, gauge, _ = mount
    monkeypatch.setenv("DAMON_ROOT", f"{directory}/damon")
    arguments = ["--gauge", str(gauge), "--fresh"]
    arguments += ["--compare", str(GOLDENS / "rfc"), "rfc_file", "rfc_arming"]
    titles = ["What it takes", "A quota of 10 ms, guessed to be 40 MiB", "What is in use stays"]
    titles += ["Fixed ranges have the same tuner"]
    arguments += [word for title in titles for word in ("--case", title)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "rfc_file: agrees" in said
    assert "not compared: What is in use stays: needs processes with memory" in said
    assert "not compared: Fixed ranges have the same tuner: needs a boot of its own" in said


def test_a_difference_is_found(tmp_path):
    golden = goldens.load(GOLDENS / "rfc", "rfc_arming")
    wrong = goldens.load(GOLDENS / "rfc", "rfc_division")
    assert transcripts.difference(golden, wrong)
    goldens.save(tmp_path, golden)
    arguments = ["--profile", "rfc", "--compare", str(tmp_path), "rfc_arming"]
    arguments += ["--case", "A quota of 10 ms, guessed to be 40 MiB"]
    assert main(arguments) == 0
    text = (tmp_path / "rfc_arming.json").read_text()
    (tmp_path / "rfc_arming.json").write_text(text.replace('"41943040"', '"41943041"'))
    assert main(arguments) == 1


def test_a_boot_of_its_own_is_had_once(tmp_path):
    (tmp_path / "admin" / "kdamonds").mkdir(parents=True)
    machine = TreeMachine(tmp_path, fresh=True)
    assert [machine.boot(), machine.boot()] == [True, False]
    machine.close()


def test_each_case_of_its_own_boot_starts_with_one():
    machine = EmulatedMachine("rfc")
    text = """
    needs target_priority
    fresh boot
    kdamonds 1
    start a
    start b
    targets $a.pid $b.pid
    write context/targets/0/target_priority 1
    write context/targets/1/target_priority 2
    state 0 on
    sleep 1 aggregation
    read 0/state
    """
    script = parse("demo", f"== one\n{text}\n== two\n{text}")
    played = playing.play(script, machine, playing.probe(machine), "played")
    assert [case.steps[-1][1] for case in played.cases] == ["on", "on"]


def test_a_kernel_without_the_patches_has_no_golden_and_skips_all():
    machine = EmulatedMachine("7.2")
    features = playing.probe(machine)
    for name in SCRIPTS:
        golden = goldens.load(GOLDENS / "6.1", name)
        assert golden.cases == ()
        played = playing.play(goldens.script(name), machine, features, "played")
        assert transcripts.difference(golden, played) == ""
        assert all(case.skipped for case in played.cases)


def test_whatever_arms_the_tuner_has_a_boot_of_its_own():
    """Or it would depend on what was played before it."""
    for name, case in CASES.values():
        lines = [line.text for line in case.lines]
        numbered = [
            i for i, line in enumerate(lines) if "/target_priority " in line and "write" in line
        ]
        switched = [i for i, line in enumerate(lines) if re.fullmatch(r"state \d on", line)]
        if numbered and switched and numbered[0] < switched[-1]:
            assert case.fresh_boot, (name, case.title)


def test_a_mount_cannot_be_told_to_survive_an_oops(tmp_path):
    (tmp_path / "admin" / "kdamonds").mkdir(parents=True)
    machine = TreeMachine(tmp_path)
    with pytest.raises(playing.MachineError, match="panic_on_oops"):
        machine.panic_on_oops(on=False)
    machine.close()
