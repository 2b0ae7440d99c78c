"""Kernels and the root file system, as the scripts of this directory make them."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

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


@dataclass(frozen=True, slots=True)
class AgentImage:
    """The agent's image of this checkout as a disk, and what it says of its process."""

    directory: Path

    @property
    def disk(self) -> Path:
        """Return the disk; the image's root file system is its directory rootfs."""
        return self.directory / "agent.img"

    @property
    def configuration(self) -> Mapping[str, Any]:
        """Return the image's Config: Entrypoint, Env, User and others."""
        read: Mapping[str, Any] = json.loads((self.directory / "image.json").read_text())
        return read


def agent_image() -> AgentImage:
    """Return the agent's image; builds it where a source of it has changed."""
    return AgentImage(_made("agent-image.sh"))


@cache
def _made(script: str, *arguments: str) -> Path:
    # What it is doing goes to stderr as it does it.
    done = subprocess.run(
        [HERE / script, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(done.stdout.split()[-1])
