"""What the goldens say, real kernels say: every script, step by step.

The emulator is compared with the same goldens by tests/conformance.
"""

import os
import sys
from pathlib import Path

import pytest

from damon_mock.conformance import goldens, transcripts

sys.path.insert(0, str(Path(__file__).parent))

import kernels_say

KERNELS = os.environ.get("VM_KERNELS", "6.12 newest").split()


@pytest.fixture(scope="module", params=KERNELS)
def said(request: pytest.FixtureRequest) -> tuple[Path, dict[str, transcripts.Transcript]]:
    kernel = kernels_say.archive.kernel(request.param)
    directory = kernels_say.GOLDENS / kernels_say.profile_of(kernel)
    assert directory.is_dir(), (
        f"nothing was recorded of {kernel.release} yet: "
        f"python e2e/tests_kernel/kernels_say.py {request.param}, and an emulator profile of it"
    )
    return directory, {played.script: played for played in kernels_say.play(kernel)}


@pytest.mark.parametrize("name", goldens.names())
def test_a_kernel_says_what_was_recorded(
    said: tuple[Path, dict[str, transcripts.Transcript]], name: str
) -> None:
    directory, played = said
    golden = goldens.load(directory, name)
    difference = transcripts.difference(golden, played[name], recorded_only=True)
    assert difference == "", f"\n{difference}"
