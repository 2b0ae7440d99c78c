"""Kernels and the root file system, as the scripts of this directory make them."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kernel:
    """A stock Debian kernel: image, initrd and a disk of modules."""

    directory: Path

    @property
    def release(self) -> str:
        """Return what uname -r says on it."""
        return (self.directory / "release").read_text().strip()


def kernel(wanted: str) -> Kernel:
    """Return a kernel by a beginning of its version, or the newest; makes it where needed."""
    return Kernel(_made("kernel.sh", wanted))


def root_disk() -> Path:
    """Return the disk all machines start from; makes it where needed."""
    return _made("rootfs.sh") / "root.img"


@cache
def _made(script: str, *arguments: str) -> Path:
    # What it is doing goes to stderr as it does it.
    done = subprocess.run(
        [HERE / script, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(done.stdout.split()[-1])
