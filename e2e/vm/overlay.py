"""Small files laid over a machine's root disk: a cpio archive behind that of the initrd."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_GUEST: Final = Path(__file__).parent / "guest"
_ALIGNMENT: Final = 4


@dataclass(frozen=True, slots=True)
class Overlay:
    """Directories and files by their place in the machine; the init and server always are there.

    All of it is in memory until the root disk is there: for what is larger than some ten MiB make
    a disk.
    """

    directories: Mapping[str, Path] = field(default_factory=dict)
    """A directory of this machine by its absolute path in the other; bytecode is left out."""
    files: Mapping[str, bytes] = field(default_factory=dict)

    def behind(self, initrd: bytes) -> bytes:
        """Return an initrd with this archive appended."""
        return _padded(initrd) + self.archive()

    def archive(self) -> bytes:
        """Return a cpio archive (newc) of everything, below overlay/."""
        members: dict[str, tuple[int, bytes]] = {}
        for target, source in {"/opt/guest": _GUEST, **self.directories}.items():
            for path in sorted(source.rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    name = f"overlay{target}/{path.relative_to(source)}"
                    members[name] = (path.stat().st_mode, path.read_bytes())
        for target, data in self.files.items():
            members[f"overlay{target}"] = (stat.S_IFREG | 0o644, data)
        for name in list(members):
            for parent in Path(name).parents:
                if parent != Path():
                    members[str(parent)] = (stat.S_IFDIR | 0o755, b"")
        # Parents before children: the kernel makes none by itself.
        made = [_member(name, *members[name]) for name in sorted(members)]
        return b"".join([*made, _member("TRAILER!!!", 0, b"")])


def _member(name: str, mode: int, data: bytes) -> bytes:
    """One file as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst says."""
    encoded = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
