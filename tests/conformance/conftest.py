"""Short scripts on emulated machines."""

import pytest

from damon_mock.conformance import playing
from damon_mock.conformance.emulated import EmulatedMachine
from damon_mock.conformance.parsing import parse


@pytest.fixture
def play():
    """Play the steps of one case on an emulator; return what each gave."""

    def run(text, profile="6.12", machine=None):
        machine = machine or EmulatedMachine(profile)
        features = playing.probe(machine)
        script = parse("test", f"== a case\n{text}")
        (case,) = playing.play(script, machine, features, "played").cases
        assert case.skipped is None, case.skipped
        return [result for _, result in case.steps]

    return run
