"""Each way in which a profile differs from the plainest kernel is held by a golden."""

import errno
from dataclasses import fields, replace
from pathlib import Path

import pytest

from damon_mock.conformance import goldens, playing, transcripts
from damon_mock.conformance.emulated import EmulatedMachine
from damon_mock.damon import profiles

GOLDENS = Path(__file__).with_name("goldens")
PLAINEST = {"stopped_errno": errno.EINVAL, "filter_rule": "none", "modules": ()}
UNSEEN = {"damon_stat_has_pid"}
"""Parameters of modules are listed by nobody but the agent: tests/mock_damon/test_exclusive.py."""
LONG_LAST = sorted(goldens.names(), key=lambda name: name == "commit")


def flags():
    """Return each flag once, in the oldest recorded profile that has it, switched off there."""
    found = {}
    for name in ("6.12", "6.18", "7.2", "7.3"):
        profile = profiles.load(name)
        for field in fields(profile):
            value = getattr(profile, field.name)
            plain = PLAINEST.get(field.name, False)
            told = isinstance(value, bool) or field.name in PLAINEST
            if told and value != plain and field.name not in {*found, *UNSEEN}:
                changed = replace(profile, **{field.name: plain})
                found[field.name] = pytest.param(changed, id=f"{name}-{field.name}")
    return list(found.values())


def differs(profile, features, name):
    machine = EmulatedMachine(profile)
    try:
        played = playing.play(goldens.script(name), machine, features, "played")
    except playing.MachineError:
        return True
    return bool(transcripts.difference(goldens.load(GOLDENS / profile.name, name), played))


@pytest.mark.parametrize("profile", flags())
def test_without_the_flag_a_golden_differs(profile):
    features = playing.probe(EmulatedMachine(profile))
    assert any(differs(profile, features, name) for name in LONG_LAST)
