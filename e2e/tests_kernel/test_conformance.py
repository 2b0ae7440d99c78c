"""What the goldens say, real kernels say: every script, step by step.

The emulator is compared with the same goldens by tests/conformance.
"""

from pathlib import Path

import pytest
from tests_kernel import recording
from vm.archive import Kernel

from damon_mock.conformance import goldens, transcripts
from damon_mock.conformance.transcripts import Transcript

Said = tuple[Path, dict[str, Transcript]]


@pytest.fixture(name="said", scope="module")
def said_fixture(kernel: Kernel) -> Said:
    """The goldens of a kernel, and what it says now, on a machine of its own."""
    directory = recording.GOLDENS / recording.profile_of(kernel)
    assert directory.is_dir(), (
        f"nothing was recorded of {kernel.release} yet; docs/kernels.md says how"
    )
    return directory, {played.script: played for played in recording.play(kernel)}


@pytest.mark.parametrize("name", goldens.names())
def test_a_kernel_says_what_was_recorded(said: Said, name: str) -> None:
    directory, played = said
    golden = goldens.load(directory, name)
    difference = transcripts.difference(golden, played[name], recorded_only=True)
    assert difference == "", f"\n{difference}"
