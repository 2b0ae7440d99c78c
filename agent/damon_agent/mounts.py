"""Which file system a path lies on: a machine is changed only where that is meant. Pure."""

from collections.abc import Iterator
from pathlib import Path


def filesystem(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds `path`, from the text of mountinfo (proc(5)).

    The mount with the longest matching mount point counts, of equal ones the last.
    """
    best, kind = -1, ""
    for point, mounted in _mounts(mountinfo):
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), mounted
    return kind


def below(path: Path, mountinfo: str) -> frozenset[str]:
    """Return the types of all file systems that are mounted at `path` or below it."""
    return frozenset(kind for point, kind in _mounts(mountinfo) if point.is_relative_to(path))


def _mounts(mountinfo: str) -> Iterator[tuple[Path, str]]:
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        yield Path(_unescaped(mount.split()[4])), source.split()[0]


def _unescaped(point: str) -> str:
    """Undo the octal escapes of space, tab, newline and backslash."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point
