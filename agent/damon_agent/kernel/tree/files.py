"""The files of one kdamond: what they are known to read, and writing the difference."""

from collections.abc import Mapping

from damon_agent.kernel.tree.diff import Write, diff, directories, is_count
from damon_agent.kernel.tree.features import CONTEXT
from damon_agent.kernel.tree.sysfs import Sysfs


class KdamondFiles:
    """Reads and writes below admin/kdamonds/<K>, remembering the values."""

    def __init__(self, damon: Sysfs, base: str) -> None:
        self._damon = damon
        self._base = base
        self._known: dict[str, str] | None = None
        self._below: dict[str, dict[str, None]] = {}
        """The known paths below each directory, as ordered sets."""
        self._written: set[str] = set()
        self._complete: Mapping[str, str] | None = None
        """What `missing` last found nothing missing of."""

    @property
    def is_unknown(self) -> bool:
        """Whether the files have to be read before they can be compared."""
        return self._known is None

    @property
    def known(self) -> Mapping[str, str]:
        """What the files read when they were last read or written."""
        return self._known or {}

    def forget(self) -> None:
        """Do not trust what is remembered."""
        self._known = None
        self._below = {}
        self._complete = None
        self._written.clear()

    def missing(self, desired: Mapping[str, str]) -> tuple[Write, ...]:
        """Return the writes that are still to be made."""
        if desired is self._complete:
            return ()
        writes = diff(self.known, desired)
        self._complete = None if writes else desired
        return writes

    def read_all(self, desired: Mapping[str, str]) -> frozenset[str]:
        """Read all files of `desired`; return those that do not read what was remembered.

        Nothing remembered: those that do not read what is desired. Raise KernelError.
        """
        before = self._known
        now = {path: self._damon.found(f"{self._base}/{path}") for path in desired}
        self.forget()
        self._known = {}
        for path, value in now.items():
            self._remember(path, value)
        expected = desired if before is None else before
        return frozenset(
            path for path in desired if path in expected and now[path] != expected[path]
        )

    def write(self, desired: Mapping[str, str]) -> None:
        """Make the writes that are missing; raise KernelError at the first that fails."""
        for path, value in self.missing(desired):
            self._write(path, value)
        for path, value in desired.items():  # with what recreated directories have by default
            self._remember(path, value)

    def compare_written(self) -> frozenset[str]:
        """Read again what was written since the last call; return what reads differently."""
        now = {path: self._damon.found(f"{self._base}/{path}") for path in sorted(self._written)}
        differing = {path for path, value in now.items() if value != self.known.get(path)}
        for path in differing:
            self._remember(path, now[path])
        self._written.clear()
        return frozenset(differing)

    def remove_regions(self, target: int) -> None:
        """Take back the initial regions of a target; does nothing if there are none."""
        path = f"{CONTEXT}/targets/{target}/regions/nr_regions"
        if self.known.get(path) != "0":
            self._write(path, "0")

    def counter(self, scheme: int, name: str) -> int:
        """Return a counter of a scheme, as last updated; 0 where this kernel does not have it."""
        return int(self._damon.found(f"{self._base}/{CONTEXT}/schemes/{scheme}/stats/{name}") or 0)

    def _write(self, path: str, value: str) -> None:
        # Forgotten before the write: it may destroy files, and fail or kill us all the same.
        if is_count(path):
            for gone in tuple(self._below.get(path.rpartition("/")[0], ())):
                self._remember(gone, None)
                self._written.discard(gone)
        self._remember(path, None)
        self._damon.write(f"{self._base}/{path}", value)
        self._remember(path, value)
        self._written.add(path)

    def _remember(self, path: str, value: str | None) -> None:
        known = self._known if self._known is not None else {}
        if known.get(path) == value:
            return
        self._complete = None
        if value is None:
            del known[path]
            for directory in directories(path):
                del self._below[directory][path]
        else:
            if path not in known:
                for directory in directories(path):
                    self._below.setdefault(directory, {})[path] = None
            known[path] = value
        self._known = known
