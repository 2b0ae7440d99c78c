"""Playing conformance scripts in a virtual machine, and recording what a kernel says.

`PYTHONPATH=e2e python -m tests_kernel.recording 6.12 newest` writes the goldens of these kernels
anew; `--script failsafe` only those of one script.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from vm import archive
from vm.archive import Kernel
from vm.machine import Machine
from vm.overlay import Overlay

import damon_mock
from damon_mock.conformance import goldens, transcripts
from damon_mock.conformance.transcripts import Transcript

ROOT: Final = Path(__file__).parents[2]
GOLDENS: Final = ROOT / "tests" / "conformance" / "goldens"
_PLACE: Final = "/opt/conformance"
_OUTPUT: Final = "/tmp/transcripts.json"
_LONGEST_S: Final = 3600.0
_PACKAGE: Final = Path(damon_mock.__file__).parent


def profile_of(kernel: Kernel) -> str:
    """Return 6.12 for 6.12.117+deb12-amd64."""
    return ".".join(kernel.release.split(".")[:2])


def play(kernel: Kernel, *scripts: str) -> list[Transcript]:
    """Boot it, play these scripts on its DAMON, or all of them, and return what it said."""
    overlay = Overlay(
        directories={
            f"{_PLACE}/damon_mock/{room}": _PACKAGE / room for room in ("conformance", "damon")
        },
        files={f"{_PLACE}/damon_mock/__init__.py": b""},
    )
    with Machine(kernel=kernel, overlay=overlay).boot() as guest:
        guest.run(
            *("python3", "-m", "damon_mock.conformance", "--root", "/sys/kernel/mm/damon"),
            *("--modules", "/sys/module", "--output", _OUTPUT, *scripts),
            env={"PYTHONPATH": _PLACE},
            timeout_s=_LONGEST_S,
        )
        return transcripts.all_from_text(guest.get(_OUTPUT).decode())


def record(wanted: str, *scripts: str) -> None:
    """Write the goldens of a kernel."""
    kernel = archive.kernel(wanted)
    profile = profile_of(kernel)
    for recorded in play(kernel, *scripts):
        goldens.save(GOLDENS / profile, goldens.completed(recorded, profile))
    print(f"{kernel.release}: {GOLDENS / profile}", file=sys.stderr)


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description=__doc__)
    _parser.add_argument("kernels", nargs="+", metavar="KERNEL")
    _parser.add_argument("--script", action="append", default=[], metavar="NAME")
    _told = _parser.parse_args()
    for name in _told.kernels:
        record(name, *_told.script)
