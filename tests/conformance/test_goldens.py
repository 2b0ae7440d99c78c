"""The emulator against what kernels said: every script, every kernel, exactly.

`recorded` cases come from a real kernel of the release in the golden's header; `described` ones,
which no kernel survives or of which there is none to boot, from what is known of it.
"""

from pathlib import Path

import pytest

from damon_mock.conformance import goldens, playing, transcripts
from damon_mock.conformance.emulated import EmulatedMachine
from damon_mock.damon import profiles

GOLDENS = Path(__file__).with_name("goldens")
RECORDED = ("6.12", "6.18", "7.2", "7.3")


@pytest.mark.parametrize("profile", sorted(path.name for path in GOLDENS.iterdir()))
@pytest.mark.parametrize("name", goldens.names())
def test_the_emulator_agrees(profile, name):
    golden = goldens.load(GOLDENS / profile, name)
    machine = EmulatedMachine(profile)
    played = playing.play(goldens.script(name), machine, playing.probe(machine), "played")
    difference = transcripts.difference(golden, played)
    assert difference == "", f"\n{difference}"


def test_every_profile_has_goldens():
    assert {path.name for path in GOLDENS.iterdir()} >= set(profiles.NAMES)


def test_the_priority_patches_were_described_and_not_recorded():
    """There is no such kernel to boot: docs/native.md has what was observed on one."""
    for name in goldens.names():
        golden = goldens.load(GOLDENS / "rfc", name)
        assert golden.kernel == "rfc (described, not recorded)"
        assert {case.source for case in golden.cases} == {"described"}


@pytest.mark.parametrize("profile", RECORDED)
@pytest.mark.parametrize("name", goldens.names())
def test_what_a_real_kernel_may_play_was_recorded_on_one(profile, name):
    golden = goldens.load(GOLDENS / profile, name)
    if not golden.cases:  # its kernel has nothing to say; `test_the_emulator_agrees` sees to that
        return
    assert golden.kernel.startswith(f"{profile}.")
    described = [case for case in golden.cases if case.source == "described"]
    dangerous = {case.title for case in goldens.script(name).cases if case.danger is not None}
    assert {case.title for case in described} <= dangerous


@pytest.mark.parametrize("profile", RECORDED)
def test_enough_steps_were_recorded(profile):
    steps = [
        step
        for name in goldens.names()
        for case in goldens.load(GOLDENS / profile, name).cases
        if case.source == "recorded"
        for step in case.steps
    ]
    assert len(steps) >= 150
