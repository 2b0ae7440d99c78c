"""Which file system a path lies on: a machine is changed only where that is meant. Pure."""

from pathlib import Path


def filesystem(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds `path`, from the text of mountinfo (proc(5)).

    The mount with the longest matching mount point counts, of equal ones the last.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(_unescaped(mount.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), source.split()[0]
    return kind


def _unescaped(point: str) -> str:
    """Undo the octal escapes of space, tab, newline and backslash."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point
